"""A block of TCP ports per attempt, so that servers of attempts side by side do not meet.

Blocks lie below the range from which Linux gives ports by itself (from 32768). A lock, held while
the attempt runs, keeps other attempts of this host away; a port that somebody else has is skipped.
"""

import fcntl
import os
import socket
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from harness.attempt.spec import AttemptSpec

FIRST, LAST = 20_000, 32_000
BLOCK = 20
#: Each attempt's own: what a zygote serves may differ in them.
VARIABLES = ("HARNESS_PORT", "HARNESS_PORTS")


class PortBlock:
    """Ports of one attempt, from `first` on; none if every block is taken. `close` gives back."""

    def __init__(self, seed: int) -> None:
        self.first: int | None = None
        self._lock: int | None = None
        folder = Path(tempfile.gettempdir()) / f"harness-ports-{os.getuid()}"
        with suppress(OSError):  # a suite that needs no port can do without
            folder.mkdir(mode=0o700, exist_ok=True)
            self._take(folder, seed)

    def make_environment(self) -> dict[str, str]:
        """Return the variables that name the ports."""
        if self.first is None:
            return {}
        last = self.first + BLOCK - 1
        return dict(zip(VARIABLES, (str(self.first), f"{self.first}-{last}"), strict=True))

    def close(self) -> None:
        """Give the block back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take(self, folder: Path, seed: int) -> None:
        count = (LAST - FIRST) // BLOCK
        # By the seed, so that a rerun tends to have the same ports.
        for step in range(count):
            number = (seed + step) % count
            lock = os.open(folder / str(number), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            first = FIRST + number * BLOCK
            if _lock(lock) and _is_free(first):
                self.first, self._lock = first, lock
                return
            os.close(lock)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_free(first: int) -> bool:
    """Return whether nobody listens on any port of the block."""
    for port in range(first, first + BLOCK):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def fill_in(spec: AttemptSpec, ports: PortBlock) -> AttemptSpec:
    """Return the attempt with its ports, and `{port}` and `{seed}` in words that were given."""
    marks = {"{port}": str(ports.first or 0), "{seed}": str(spec.seed)}
    return replace(
        spec,
        nodeids=tuple(_replace(word, marks) for word in spec.nodeids)
        if spec.kind == "command"
        else spec.nodeids,
        arguments=tuple(_replace(word, marks) for word in spec.arguments),
        env={
            **ports.make_environment(),
            **{name: _replace(value, marks) for name, value in spec.env.items()},
        },
    )


def _replace(text: str, marks: dict[str, str]) -> str:
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text
