"""The folder in which a rank's pytest keeps what it captures, read once the attempt is over.

What runs in the rank can put anything there: links, pipes, files without an end. Nothing is
followed, and what is read is bounded.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.attempt.spec import AttemptRecord
from harness.attempt.witness import Sighting
from harness.core.last_words import AttemptWords, Words, scan
from harness.core.stacks import read_py_spy

_PORTION = 1 << 20
#: What is read of all files of one attempt; of a larger file the head and the tail.
MOST_BYTES = 1 << 30
_MOST_FILES = 64
_CAPTURE = re.compile(r"capture-\d+")
_BEFORE = re.compile(r"capture-\d+\.(before|older)")
_TEST = re.compile(r"test-\d+")


class Captures:
    """A new folder. `close` forgets it; who made its parent removes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        # Held open, so that nothing that stands in its place later is read instead.
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._left = MOST_BYTES
        self._sealed: dict[str, int] | None = None

    def seal(self) -> None:
        """Look at nothing that is captured from now on: the attempt is being ended."""
        with os.scandir(self._fd) as entries:
            known = [entry for entry in entries if _CAPTURE.fullmatch(entry.name)]
            self._sealed = {one.name: one.stat(follow_symlinks=False).st_size for one in known}

    def close(self) -> None:
        """Release the folder."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read_words(
        self, record: AttemptRecord, sighting: Sighting | None, oom_kills: int
    ) -> AttemptWords:
        """Return the record's words with what the files hold, and what was seen from outside."""
        stacks = sighting.by_rank if sighting else {}
        reported = {
            name
            for rank, event in record.events
            if rank == 0 and isinstance(name := event.get("output"), str) and _TEST.fullmatch(name)
        }
        return replace(
            record.words,
            captured=tuple(self._scan_all(_CAPTURE)),
            earlier=tuple(self._scan_all(_BEFORE)),
            tests={name: words for name in sorted(reported) if (words := self._scan(name))},
            stacks={rank: stack for rank, text in stacks.items() if (stack := read_py_spy(text))},
            oom_kills=oom_kills,
        )

    def list_names(self) -> list[str]:
        """Return the files that hold output, at most so many."""
        known = (_CAPTURE, _BEFORE, _TEST)
        with os.scandir(self._fd) as entries:
            names = sorted(e.name for e in entries if any(p.fullmatch(e.name) for p in known))
        return names[:_MOST_FILES]

    def list_matching(self, pattern: re.Pattern[str], most: int) -> dict[int, str]:
        """Return the entries whose whole name matches, by the number in it, at most so many."""
        with os.scandir(self._fd) as entries:
            matches = [found for entry in entries if (found := pattern.fullmatch(entry.name))]
        return dict(sorted((int(one[1]), one[0]) for one in matches)[:most])

    def open_file(self, name: str) -> int | None:
        """Return a descriptor to read a plain file with; None if it is none, or empty."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(name, flags, dir_fd=self._fd)
        except OSError:
            return None
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode) and found.st_size:
            return fd
        os.close(fd)
        return None

    def has_file(self, name: str) -> bool:
        """Return whether a plain file that holds something has this name."""
        fd = self.open_file(name)
        if fd is not None:
            os.close(fd)
        return fd is not None

    def write_pipe(self, name: str, data: bytes) -> bool:
        """Write to a pipe that somebody reads. Return whether there was one."""
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(name, flags, dir_fd=self._fd)
        except OSError:
            return False
        try:
            return stat.S_ISFIFO(os.fstat(fd).st_mode) and os.write(fd, data) == len(data)
        except OSError:
            return False
        finally:
            os.close(fd)

    def _scan_all(self, pattern: re.Pattern[str]) -> Iterator[Words]:
        # stderr is opened after stdout, and says more.
        for name in reversed(self.list_names()):
            if pattern.fullmatch(name) and (words := self._scan(name)):
                yield words

    def _scan(self, name: str) -> Words | None:
        fd = self.open_file(name)
        if fd is None:
            return None
        try:
            source = "printed by the test" if _TEST.fullmatch(name) else "held by pytest"
            return scan(source, self._read(fd, self._find_size(fd, name)))
        except OSError:
            return None
        finally:
            os.close(fd)

    def _find_size(self, fd: int, name: str) -> int:
        size = os.fstat(fd).st_size
        if self._sealed is None or not _CAPTURE.fullmatch(name):
            return size
        return min(size, self._sealed.get(name, 0))

    def _read(self, fd: int, size: int) -> Iterator[bytes]:
        for start, end in choose_spans(size, self._left):
            while start < end and (data := os.pread(fd, min(_PORTION, end - start), start)):
                start += len(data)
                self._left -= len(data)
                yield data


def choose_spans(size: int, limit: int) -> list[tuple[int, int]]:
    """Return which bytes of a file are read: all, or of a larger one its head and its tail."""
    if size <= limit:
        return [(0, size)]
    half = max(limit, 0) // 2
    return [(0, half), (size - half, size)]
