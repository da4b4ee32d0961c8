"""The commands and options of `harness`, as declared; MkDocs calls `on_page_markdown` on each page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from harness.cli.main import app

PAGE = "reference/cli.md"
MARKER = "<!-- commands -->"


@dataclass(frozen=True)
class Command:
    """One command by its full name, for example `run` or `bot parse`; the empty name is `harness`."""

    name: str
    help: str
    options: tuple[tuple[str, str], ...]
    """Each option's and argument's spelling and meaning, as `--help` shows them."""

    @property
    def flags(self) -> set[str]:
        """Every spelling of its options."""
        shown = " ".join(spelling for spelling, _ in self.options)
        return set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", shown))


def list_commands() -> list[Command]:
    """Return every command of `harness`; a group comes before the commands that it holds."""
    return list(_walk(typer.main.get_command(app), ""))


def _walk(command: Any, name: str) -> Iterator[Command]:
    context = typer.Context(command)
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    yield Command(name, command.help or "", tuple(record for record in records if record))
    for part, below in getattr(command, "commands", {}).items():
        yield from _walk(below, f"{name} {part}".strip())


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Return the page's text; on the command line's page, with the commands at the marker."""
    if page.file.src_uri != PAGE:
        return markdown
    if MARKER not in markdown:
        raise ValueError(f"{PAGE} lacks the line {MARKER}, where the commands go")
    return markdown.replace(MARKER, "\n".join(map(format_command, list_commands())))


def format_command(command: Command) -> str:
    """Return a command's section: its help, and a table of its options."""
    rows = [f"| `{_escape(spelling)}` | {_escape(text)} |" for spelling, text in command.options]
    title = f"## harness {command.name}".rstrip()
    return "\n".join([title, "", command.help, "", "| option | meaning |", "|---|---|", *rows, ""])


def _escape(text: str) -> str:
    """Return a text as one cell of a table, where a bar would begin the next cell."""
    return " ".join(text.split()).replace("|", "\\|")
