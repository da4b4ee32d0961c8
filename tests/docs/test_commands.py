"""What the documents tell readers to type exists: commands, and the options of each."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PROJECT, find_code, list_tracked_files
from tools.reference_pages import list_commands

PAGES = list_tracked_files("*.md")
COMMANDS = {command.name: command for command in list_commands()}
TYPED = re.compile(r"(?:^|[\s/;&(])harness (?P<rest>[a-z][^#\n|;&()]*)")


def find_wrong_words(code: str) -> list[str]:
    """Return what a text tells to type after `harness` and the command line does not have."""
    joined = re.sub(r"\\?\n\s+(?=\[?-)", " ", code)
    return [wrong for typed in TYPED.finditer(joined) for wrong in _check(typed["rest"])]


def _check(rest: str) -> list[str]:
    words = rest.split(" -- ")[0].split()
    name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
    if name not in COMMANDS:
        return [f"harness {name}"]
    flags = re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", rest.split(" -- ")[0])
    return [f"harness {name} {flag}" for flag in flags if flag not in COMMANDS[name].flags]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_page_tells_to_type_only_what_there_is(page: Path) -> None:
    assert [wrong for code in find_code(page) for wrong in find_wrong_words(code)] == []


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("harness run x.py --repeats 5", []),
        (".venv/bin/harness bot parse", []),
        ("pip install . && harness run --repaets 5 | tail", ["harness run --repaets"]),
        ("harness raport", ["harness raport"]),
        ("harness plan --like RUN\n    --sides 2", ["harness plan --sides"]),
    ],
)
def test_a_wrong_command_or_option_is_found(code: str, wrong: list[str]) -> None:
    assert find_wrong_words(code) == wrong
