"""The lines of a process's output that name a cause, found while the output streams by. Pure.

A process says why it dies long before its last line: behind the cause come the errors of everybody
who waited for it, and megabytes of noise. Lines are rated (`cause_rules.py`); of equal ones the
first wins, except that an exception raised while another was handled replaces it.
"""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.core.cause_rules import (
    EXCEPTION_LINE,
    HINTS,
    NAMED_EXCEPTION,
    PREFIX,
    Strength,
    rate_line,
)
from harness.core.stacks import Stack, StackReader

#: A longer line is cut.
LONGEST_LINE = 4096
#: Lines that are kept before a cause, and after it.
_BEFORE, _AFTER = 6, 8
_LONGEST_SHOWN = 400
#: How many causes of each strength are kept.
_MOST_CAUSES = 5

_ESCAPES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b.")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]+")
_CHAINED = re.compile(r"^(During handling of the above|The above exception was the direct cause)")
_TRACEBACK = "Traceback (most recent call last):"


@dataclass(slots=True)
class Cause:
    """A line that names a cause, with the lines around it. `source`: the stream it is from."""

    strength: Strength
    line: str
    source: str = ""
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Words:
    """What a stream says of how its process ended. `causes`: the first of each strength first."""

    causes: tuple[Cause, ...] = ()
    stacks: tuple[Stack, ...] = ()
    size: int = 0
    """Bytes that were read."""
    binary: bool = False
    """The stream held bytes that are no text."""


@dataclass(frozen=True, slots=True)
class AttemptWords:
    """What the processes of one attempt said, stream by stream."""

    logs: Mapping[int, Words] = field(default_factory=dict)
    """By rank: what it wrote to its stdout and stderr."""
    captured: tuple[Words, ...] = ()
    """What pytest held for the running test when rank 0 died."""
    earlier: tuple[Words, ...] = ()
    """What pytest had held before, for earlier phases and tests."""
    tests: Mapping[str, Words] = field(default_factory=dict)
    """What failed tests had printed, by the name of the file that their reports give."""
    stacks: Mapping[int, Stack] = field(default_factory=dict)
    """By rank: what it did when the time was up, seen from outside."""
    collectives: tuple[str, ...] = ()
    """What the ranks' flight recorders say of their last collectives, the missing rank first."""
    oom_kills: int = 0
    """By how much the kernel's count of processes that it killed for memory rose meanwhile."""


class CauseScanner:
    """Reads one stream in portions, in bounded memory, and keeps the lines that name a cause."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._partial = b""
        self._size = 0
        self._binary = False
        self._recent: deque[str] = deque(maxlen=_BEFORE)
        self._causes: dict[Strength, list[Cause]] = {}
        self._open: list[tuple[Cause, int]] = []
        self._stacks = StackReader()
        self._in_traceback = False
        self._chained = False
        self._last_line = ""
        self._sealed = False

    def feed(self, data: bytes) -> None:
        """Take the next portion."""
        self._size += len(data)
        self._binary |= b"\0" in data
        text = self._partial + data
        if self._is_plain(text):
            self._skip(text)
            return
        *lines, self._partial = text.split(b"\n")
        self._partial = self._partial[:LONGEST_LINE]
        for line in lines:
            self._take(clean_line(line))

    def seal(self) -> None:
        """Look for no further cause: from now on the process is being ended, and may say so.

        Stacks are still taken: they are the answer to the signal that ends it.
        """
        self._sealed = True

    def finish(self) -> Words:
        """Return what was found. Nothing may be fed afterwards."""
        self._take(clean_line(self._partial))
        causes = [cause for strength in sorted(self._causes, reverse=True)
                  for cause in self._causes[strength]]  # fmt: skip
        if self._last_line:
            last = Cause(Strength.LAST_LINE, self._last_line, self._source, list(self._recent))
            causes.append(last)
        return Words(tuple(causes), self._stacks.list_stacks(), self._size, self._binary)

    def _is_plain(self, text: bytes) -> bool:
        """Tell whether a portion can be passed over: most of a long log."""
        busy = self._open or self._in_traceback or self._stacks.inside
        small = b"" if busy else text.lower()
        return not busy and not any(hint in small for hint in HINTS)

    def _skip(self, text: bytes) -> None:
        body, _, rest = text.rpartition(b"\n")
        self._partial = (rest if body else text)[:LONGEST_LINE]
        for line in body[-2 * LONGEST_LINE :].split(b"\n")[-_BEFORE:]:
            self._remember(clean_line(line))

    def _remember(self, line: str) -> None:
        if line.strip() and not self._sealed:
            self._recent.append(line[:_LONGEST_SHOWN])
            self._last_line = line.strip()[:_LONGEST_SHOWN]

    def _take(self, line: str) -> None:
        self._binary |= "\ufffd" in line
        for pair in list(self._open):
            self._extend(pair, line)
        if self._stacks.take(line) or self._sealed:
            return
        if found := self._rate(line):
            self._add(found, line)
        self._remember(line)

    def _extend(self, pair: tuple[Cause, int], line: str) -> None:
        cause, left = pair
        self._open.remove(pair)
        if line.strip():
            cause.lines.append(line[:_LONGEST_SHOWN])
        if left > 1:
            self._open.append((cause, left - 1))

    def _rate(self, line: str) -> Strength | None:
        bare = PREFIX.sub("", line)
        if _CHAINED.match(bare):
            self._chained = True
            return None
        if _TRACEBACK in bare:
            self._in_traceback = True
            return None
        if self._in_traceback and (not bare.strip() or bare[0] in " \t|+"):
            return None  # a frame, or the source of its line, which may name any error
        ended, self._in_traceback = self._in_traceback, False
        return rate_exception(bare, after_traceback=ended) or rate_line(bare)

    def _add(self, strength: Strength, line: str) -> None:
        bare = PREFIX.sub("", line).strip().removeprefix("what():").strip()
        if strength is Strength.FATAL:  # pytest's progress may stand before it on its line
            bare = bare[bare.index("Fatal Python error") :]
        lines = [*self._recent, line[:_LONGEST_SHOWN]]
        found = Cause(strength, bare[:_LONGEST_SHOWN], self._source, lines)
        known = self._causes.setdefault(strength, [])
        if self._chained and known and strength is Strength.EXCEPTION:
            known[-1] = found
        elif len(known) < _MOST_CAUSES:
            known.append(found)
        else:
            return
        self._chained = False
        self._open.append((found, _AFTER))


def rate_exception(line: str, *, after_traceback: bool) -> Strength | None:
    """Return the strength of an exception's last line; None if the line is not one.

    A stronger rule decides if the exception's words are those of a device or of memory.
    """
    pattern = EXCEPTION_LINE if after_traceback else NAMED_EXCEPTION
    if not pattern.match(line):
        return None
    named = rate_line(line)
    if named in (None, Strength.LOGGED, Strength.FATAL):
        return Strength.EXCEPTION if after_traceback else Strength.LOGGED
    return named


def clean_line(line: bytes) -> str:
    """Return a line as text: cut, without colours and other control characters."""
    text = line[:LONGEST_LINE].decode("utf-8", "replace").expandtabs(4)
    # A progress bar draws over itself: what it drew last counts.
    text = text.rstrip("\r").rpartition("\r")[2]
    return _CONTROL.sub("", _ESCAPES.sub("", text)).rstrip()


def scan(source: str, portions: Iterable[bytes]) -> Words:
    """Return what a whole stream says."""
    scanner = CauseScanner(source)
    for portion in portions:
        scanner.feed(portion)
    return scanner.finish()


def choose_cause(streams: Sequence[Words]) -> Cause | None:
    """Return the strongest cause of several streams; of equal ones that of the earlier stream."""
    causes = [cause for words in streams for cause in words.causes[:1]]
    return max(causes, key=lambda cause: cause.strength, default=None)
