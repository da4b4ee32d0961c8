"""What a comment asks for: a strict grammar into a typed request. Pure.

    /rerun-test SUITE[::Class[::test]]... [--sha HEX40] [--repeats N] [--order A,B] [--backend A,B]
                [--tp N] [--gpus N] [--until decided] [--against base]
    /rerun-test help | cancel | status

Only the first line counts, it begins with the command, and all of it is printable ASCII. What the
grammar cannot express cannot be asked for: the types below hold names, numbers and nothing else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.core.backends import BACKENDS
from harness.core.order import CaptureOrder

COMMAND = "/rerun-test"
MAX_LINE = 1_000
MAX_TARGETS = 8

_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_TARGET = re.compile(rf"((?:{_SEGMENT}/)*{_SEGMENT}\.py)((?:::{_NAME}){{0,2}})")
_SHA = re.compile(r"[0-9a-f]{40}")
_NUMBER = re.compile(r"[1-9][0-9]{0,4}")
_WORD = re.compile(r"[A-Za-z0-9./:_,=+-]+")


@dataclass(frozen=True, slots=True)
class Target:
    """A suite: a file of the repository, or only its name, and optionally a class and a test."""

    file: str
    node: str = ""
    """Empty, `::Class`, `::test` or `::Class::test`."""

    @property
    def is_bare(self) -> bool:
        """A file name without its folder: to be found in the tree."""
        return "/" not in self.file

    @property
    def is_expressible(self) -> bool:
        """Whether a command can name it."""
        return _TARGET.fullmatch(self.text) is not None

    @property
    def text(self) -> str:
        """As `harness run` takes it."""
        return self.file + self.node


@dataclass(frozen=True, slots=True)
class Measure:
    """A measurement asked for. None and empty: not said, so the policy's or the default."""

    targets: tuple[Target, ...]
    sha: str | None = None
    repeats: int | None = None
    orders: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    tp: int | None = None
    gpus: int | None = None
    until_decided: bool = False
    against_base: bool = False


@dataclass(frozen=True, slots=True)
class Help:
    """`/rerun-test help`."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """`/rerun-test cancel`: end what the bot still runs for this pull request."""


@dataclass(frozen=True, slots=True)
class Status:
    """`/rerun-test status`: bring the comments of what still runs up to date."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Meant for the bot, but not of the grammar. `reason` quotes nothing that is not plain."""

    reason: str


Command = Measure | Help | Cancel | Status | Malformed

_PLAIN: dict[str, Command] = {"help": Help(), "cancel": Cancel(), "status": Status()}


def parse_command(body: str) -> Command | None:
    """The command in a comment; None where the comment is not meant for the bot. Never raises."""
    first, _, rest = body.partition("\n")
    first = first.removesuffix("\r")
    if first != COMMAND and not first.startswith(COMMAND + " "):
        return None
    if len(first) > MAX_LINE:
        return Malformed(f"the command is longer than {MAX_LINE} characters")
    if not all(" " <= character <= "~" for character in first):
        return Malformed("the command holds a character that is not printable ASCII")
    if any(line.lstrip().startswith(COMMAND) for line in rest.splitlines()):
        return Malformed("several commands in one comment: write one comment each")
    try:
        return _command(first.split()[1:])
    except _NotInGrammarError as wrong:
        return Malformed(str(wrong))


class _NotInGrammarError(Exception):
    """A word that the grammar has no place for."""


def _command(words: list[str]) -> Command:
    if not words:
        raise _NotInGrammarError(f"name a suite, for example {COMMAND} test_eagle_infer_b.py")
    if words[0] in _PLAIN:
        if len(words) > 1:
            raise _NotInGrammarError(f"{words[0]} takes nothing after it")
        return _PLAIN[words[0]]
    return _measure(words)


def _measure(words: list[str]) -> Measure:
    targets: list[Target] = []
    given: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            targets.append(_target(word))
            continue
        if word not in _FLAGS:
            raise _NotInGrammarError(f"unknown flag {_quoted(word)}: {', '.join(_FLAGS)} are known")
        field, read = _FLAGS[word]
        if field in given:
            raise _NotInGrammarError(f"{word} is given twice")
        given[field] = read(word, next(rest, ""))
    if not targets:
        raise _NotInGrammarError("name at least one suite")
    if len(targets) > MAX_TARGETS:
        raise _NotInGrammarError(f"{len(targets)} suites: at most {MAX_TARGETS} in one command")
    if len(set(targets)) < len(targets):
        raise _NotInGrammarError("a suite is named twice")
    return Measure(tuple(targets), **given)


def _target(word: str) -> Target:
    found = _TARGET.fullmatch(word)
    if not found:
        raise _NotInGrammarError(
            f"{_quoted(word)} is not FILE.py, FILE.py::Class or FILE.py::Class::test "
            "with a path inside the repository"
        )
    return Target(found[1], found[2])


def _sha(flag: str, value: str) -> str:
    if not _SHA.fullmatch(value):
        raise _NotInGrammarError(f"{flag} takes a full commit, 40 digits of 0-9 and a-f")
    return value


def _number(flag: str, value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise _NotInGrammarError(f"{flag} takes a number from 1 to 99999")
    return int(value)


def _listed(known: tuple[str, ...]) -> Callable[[str, str], tuple[str, ...]]:
    def read(flag: str, value: str) -> tuple[str, ...]:
        values = tuple(value.split(","))
        if not set(values) <= set(known) or len(set(values)) < len(values):
            raise _NotInGrammarError(f"{flag} takes a list of {', '.join(known)}, each once")
        return values

    return read


def _only(word: str) -> Callable[[str, str], bool]:
    def read(flag: str, value: str) -> bool:
        if value != word:
            raise _NotInGrammarError(f"{flag} takes {word!r} and nothing else")
        return True

    return read


_FLAGS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "--sha": ("sha", _sha),
    "--repeats": ("repeats", _number),
    "--order": ("orders", _listed(tuple(CaptureOrder))),
    "--backend": ("backends", _listed(tuple(BACKENDS))),
    "--tp": ("tp", _number),
    "--gpus": ("gpus", _number),
    "--until": ("until_decided", _only("decided")),
    "--against": ("against_base", _only("base")),
}


def _quoted(word: str) -> str:
    """A word of the command, for an answer: only where it is short and plain."""
    return repr(word) if len(word) <= 80 and _WORD.fullmatch(word) else "a word of the command"


def command_text(asked: Measure) -> str:
    """The request as a comment's first line: what `parse_command` reads as the same request."""
    words = [COMMAND, *(target.text for target in asked.targets)]
    words += ["--sha", asked.sha] if asked.sha else []
    words += ["--repeats", str(asked.repeats)] if asked.repeats else []
    words += ["--order", ",".join(asked.orders)] if asked.orders else []
    words += ["--backend", ",".join(asked.backends)] if asked.backends else []
    words += ["--tp", str(asked.tp)] if asked.tp else []
    words += ["--gpus", str(asked.gpus)] if asked.gpus else []
    words += ["--until", "decided"] if asked.until_decided else []
    words += ["--against", "base"] if asked.against_base else []
    return " ".join(words)
