"""What a comment asks for: a strict grammar into a typed request. Pure.

    /rerun-test SUITE[::Class[::test]]... [--sha HEX] [--repeats N] [--order A,B] [--backend A,B]
                [--tp N] [--gpus N] [--until decided] [--against base]
    /rerun-test help | cancel | status

Only the first line counts, it begins with the command, and all of it is printable ASCII. A flag and
its value may be joined by `=`. What the grammar cannot express cannot be asked for.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from harness.bot.command.requests import (
    COMMAND,
    TARGET,
    Cancel,
    Command,
    Help,
    Malformed,
    Measure,
    Status,
    Target,
)
from harness.core.backends import BACKENDS
from harness.core.order import CaptureOrder

MAX_LINE = 1_000
MAX_TARGETS = 8

MAX_REPEATS = 99_999
#: More ranks or GPUs than one machine has.
MAX_DEVICES = 64

_SHA = re.compile(r"[0-9a-f]{7,40}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,4}")
_WORD = re.compile(r"[A-Za-z0-9./:_,=+-]+")

_PLAIN: dict[str, Command] = {"help": Help(), "cancel": Cancel(), "status": Status()}


def parse_command(body: str) -> Command | None:
    """Return the command in a comment, None if it is not meant for the bot. Never raises."""
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
    if _continues(rest):
        return Malformed("the command goes on in another line: write it in one line")
    try:
        return _parse_words(first.split()[1:])
    except _NotInGrammarError as wrong:
        return Malformed(str(wrong))


def _continues(rest: str) -> bool:
    """Whether a line below looks like more of the command: mail programs wrap long lines.

    A suite may be talked about further down; a flag that begins a line is meant for us.
    """
    words = [next(iter(line.split()), "") for line in rest.splitlines()]
    is_flag = any(word.partition("=")[0] in FLAGS for word in words)
    return is_flag or any(TARGET.fullmatch(word) for word in words[:1])


class _NotInGrammarError(Exception):
    """A word that the grammar has no place for."""


def _parse_words(words: list[str]) -> Command:
    if not words:
        raise _NotInGrammarError(f"name a suite, for example {COMMAND} test_eagle_infer_b.py")
    plain = _PLAIN.get(words[0].lower().removeprefix("--"))
    if plain:
        if len(words) > 1:
            raise _NotInGrammarError(f"{words[0]} takes nothing after it")
        return plain
    return _parse_measure(words)


def _parse_measure(words: list[str]) -> Measure:
    targets: list[Target] = []
    given: dict[str, Any] = {}
    rest = iter(_split_joined(words))
    for word in rest:
        if not word.startswith("-"):
            targets.append(_parse_target(word))
            continue
        if word not in FLAGS:
            raise _NotInGrammarError(
                f"unknown flag {_quote(word)}{_suggest(word.partition('=')[0], FLAGS)}: "
                f"{', '.join(FLAGS)} are known"
            )
        field, parse_value = FLAGS[word]
        if field in given:
            raise _NotInGrammarError(f"{word} is given twice")
        given[field] = parse_value(word, next(rest, ""))
    _check_targets(targets)
    return Measure(tuple(targets), **given)


def _split_joined(words: list[str]) -> Iterator[str]:
    """Yield the words, `--flag=value` as two."""
    for word in words:
        flag, joined, value = word.partition("=")
        yield from (flag, value) if joined and flag in FLAGS else (word,)


def _check_targets(targets: list[Target]) -> None:
    if not targets:
        raise _NotInGrammarError("name at least one suite")
    if len(targets) > MAX_TARGETS:
        raise _NotInGrammarError(f"{len(targets)} suites: at most {MAX_TARGETS} in one command")
    if len(set(targets)) < len(targets):
        raise _NotInGrammarError("a suite is named twice")


def _parse_target(word: str) -> Target:
    found = TARGET.fullmatch(word)
    if not found:
        more = _suggest(word, _PLAIN)
        if TARGET.fullmatch(word.partition("[")[0]):
            more = "; name the test without its parameters, and all of them are run"
        raise _NotInGrammarError(
            f"{_quote(word)} is not FILE.py, FILE.py::Class or FILE.py::Class::test "
            f"with a path inside the repository{more}"
        )
    return Target(found[1], found[2])


def _parse_sha(flag: str, value: str) -> str:
    if not _SHA.fullmatch(value):
        raise _NotInGrammarError(f"{flag} takes a commit, 7 to 40 digits of 0-9 and a-f")
    return value


def _parse_number(least: int, most: int) -> Callable[[str, str], int]:
    def parse(flag: str, value: str) -> int:
        if not (_NUMBER.fullmatch(value) and least <= int(value) <= most):
            raise _NotInGrammarError(f"{flag} takes a number from {least} to {most}")
        return int(value)

    return parse


def _parse_list(known: tuple[str, ...]) -> Callable[[str, str], tuple[str, ...]]:
    def parse(flag: str, value: str) -> tuple[str, ...]:
        values = tuple(value.split(","))
        if not set(values) <= set(known) or len(set(values)) < len(values):
            raise _NotInGrammarError(f"{flag} takes a list of {', '.join(known)}, each once")
        return values

    return parse


def _parse_only(word: str) -> Callable[[str, str], bool]:
    def parse(flag: str, value: str) -> bool:
        if value != word:
            raise _NotInGrammarError(f"{flag} takes {word!r} and nothing else")
        return True

    return parse


#: Each flag's field of `Measure`, and what reads its value.
FLAGS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "--sha": ("sha", _parse_sha),
    "--repeats": ("repeats", _parse_number(1, MAX_REPEATS)),
    "--order": ("orders", _parse_list(tuple(CaptureOrder))),
    "--backend": ("backends", _parse_list(tuple(BACKENDS))),
    "--tp": ("tp", _parse_number(1, MAX_DEVICES)),
    "--gpus": ("gpus", _parse_number(0, MAX_DEVICES)),
    "--until": ("until_decided", _parse_only("decided")),
    "--against": ("against_base", _parse_only("base")),
}


def _suggest(word: str, known: Iterable[str]) -> str:
    """Return a question whether a known word was meant, if one is near."""
    near = difflib.get_close_matches(word[:80].lower(), known, n=1, cutoff=0.75)
    return f" (did you mean {near[0]}?)" if near else ""


def _quote(word: str) -> str:
    """Return a word of the command for an answer, only if it is short and plain."""
    return repr(word) if len(word) <= 80 and _WORD.fullmatch(word) else "a word of the command"
