"""A rank's log: written as it comes, with a limit, its head, its tail and its causes kept."""

import os
import re
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import IO

from harness.core.last_words import CauseScanner

#: Kept of each rank's output; what lies between is left out, except for lines that name a cause.
HEAD_BYTES = 4 << 20
TAIL_BYTES = 4 << 20
#: What lines that name a cause may take together.
CAUSE_BYTES = 256 << 10
_LONGEST_LINE = 4096
_READ_BYTES = 1 << 16

_CAUSE = re.compile(
    rb"Error\b|Exception\b|Traceback|\bFAILED\b|Fatal|fatal|Segmentation|[Aa]bort|[Aa]ssert|"
    rb"[Oo]ut of memory|\bOOM\b|[Kk]illed|SIG[A-Z]{3,}|NCCL WARN|[Tt]imed out|Xid"
)


class LogReader:
    """Reads what one rank prints from a pipe into a file."""

    def __init__(self, fd: int, path: Path) -> None:
        self.fd = fd
        self.scanner = CauseScanner(path.name)
        """Has seen every byte, also those that the file leaves out."""
        self.open = True
        self._file: IO[bytes] = path.open("wb", buffering=0)
        self._head_left = HEAD_BYTES
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._left_out = 0
        self._causes: list[bytes] = []
        self._cause_bytes = 0
        self._partial = b""

    def __enter__(self) -> "LogReader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._finish()

    def read(self) -> bool:
        """Take one portion. Return whether there was one."""
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.open = False
            return False
        self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        self.scanner.feed(data)
        head, rest = data[: self._head_left], data[self._head_left :]
        self._file.write(head)
        self._head_left -= len(head)
        if rest:
            self._tail.append(rest)
            self._tail_bytes += len(rest)
        while self._tail_bytes - len(self._tail[0] if self._tail else b"") > TAIL_BYTES:
            self._leave_out(self._tail.popleft())

    def _leave_out(self, data: bytes) -> None:
        self._tail_bytes -= len(data)
        self._left_out += len(data)
        *lines, self._partial = (self._partial[-_LONGEST_LINE:] + data).split(b"\n")
        for line in lines:
            if self._cause_bytes < CAUSE_BYTES and _CAUSE.search(line):
                cause = line[:_LONGEST_LINE] + b"\n"
                self._causes.append(cause)
                self._cause_bytes += len(cause)

    def _finish(self) -> None:
        if self._left_out:
            mib = self._left_out / 2**20
            text = f"\n[harness: {mib:.1f} MiB left out; of them the lines that name a cause:]\n"
            self._file.write(text.encode())
            self._file.write(b"".join(self._causes))
            self._file.write(b"[harness: the end:]\n")
        self._file.write(b"".join(self._tail))
        self._file.close()
