"""Pages of the reference made from declarations: MkDocs calls `on_page_markdown` on every page."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from harness.cli.main import app
from harness.core.engine_arguments import ARGUMENTS, EngineArgument

#: Where the generated part goes.
MARKER = "<!-- generated -->"


@dataclass(frozen=True)
class Option:
    """One option or argument: the heading it stands under, its spelling and its meaning."""

    group: str
    spelling: str
    meaning: str


@dataclass(frozen=True)
class Command:
    """One command by its full name, such as `run` or `bot parse`; `harness` itself has none."""

    name: str
    help: str
    options: tuple[Option, ...]

    @property
    def flags(self) -> set[str]:
        """Every spelling of its options."""
        shown = " ".join(option.spelling for option in self.options)
        return set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", shown))


def list_commands() -> list[Command]:
    """Return every command of `harness`; a group comes before the commands that it holds."""
    return list(_walk(typer.main.get_command(app), ""))


def _walk(command: Any, name: str) -> Iterator[Command]:
    context = typer.Context(command)
    shown = ((one, one.get_help_record(context)) for one in command.get_params(context))
    options = tuple(Option(_find_group(one), *record) for one, record in shown if record)
    yield Command(name, command.help or "", options)
    for part, below in getattr(command, "commands", {}).items():
        yield from _walk(below, f"{name} {part}".strip())


def _find_group(parameter: Any) -> str:
    return getattr(parameter, "rich_help_panel", None) or ""


def format_commands() -> str:
    """Return a section per command: its help, and a table of its options per group."""
    return "\n".join(line for command in list_commands() for line in _format_command(command))


def _format_command(command: Command) -> Iterator[str]:
    yield from (f"## harness {command.name}".rstrip(), "", command.help, "")
    groups: dict[str, list[tuple[str, str]]] = {}
    for option in command.options:
        groups.setdefault(option.group, []).append((f"`{option.spelling}`", option.meaning))
    for group, rows in groups.items():
        yield from _format_table((group or "option", "meaning"), rows)


def format_engine_arguments() -> str:
    """Return a table of what an engine can be given, and what may be an axis."""
    rows = [_describe_argument(argument) for argument in ARGUMENTS.values()]
    return "\n".join(_format_table(("argument", "value", "default", "meaning", "axis"), rows))


def _describe_argument(argument: EngineArgument) -> tuple[str, ...]:
    default = "-" if argument.default is None else f"`{argument.default}`"
    axis = f"no: {argument.fixed_by} decides" if argument.fixed_by else "yes"
    return f"`{argument.name}`", argument.parser.wanted, default, argument.help, axis


def _format_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(heads)
    yield _format_row(heads)
    yield _format_row(["---"] * len(heads))
    yield from map(_format_row, rows)
    yield ""


def _format_row(cells: Iterable[str]) -> str:
    """Return one row of a table; a bar within a cell would begin the next cell."""
    shown = (" ".join(cell.split()).replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(shown)} |"


#: What goes to the marker of each page.
PAGES: Mapping[str, Callable[[], str]] = {
    "reference/cli.md": format_commands,
    "reference/engine-arguments.md": format_engine_arguments,
}


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Return a page's text, with its generated part at the marker if it has one."""
    name = page.file.src_uri
    if (MARKER in markdown) != (name in PAGES):
        raise ValueError(f"{name}: a page has the line {MARKER} exactly if PAGES lists it")
    return markdown.replace(MARKER, PAGES[name]()) if name in PAGES else markdown
