"""A block of TCP ports per attempt, so that servers of attempts side by side do not meet.

Blocks lie below the range from which Linux gives ports by itself (from 32768). A name that the
kernel keeps while the attempt runs (an abstract socket: no file) keeps other attempts of this
host away; a port that somebody else has is skipped.
"""

import socket
from dataclasses import replace

from harness.attempt.spec import AttemptSpec

FIRST, LAST = 20_000, 32_000
BLOCK = 20
#: Each attempt's own: what a zygote serves may differ in them.
VARIABLES = ("HARNESS_PORT", "HARNESS_PORTS")


class PortBlock:
    """Ports of one attempt, from `first` on; none if every block is taken. `close` gives back."""

    def __init__(self, seed: int) -> None:
        self.first: int | None = None
        self._lock: socket.socket | None = None
        self._take(seed)

    def make_environment(self) -> dict[str, str]:
        """Return the variables that name the ports."""
        if self.first is None:
            return {}
        last = self.first + BLOCK - 1
        return dict(zip(VARIABLES, (str(self.first), f"{self.first}-{last}"), strict=True))

    def close(self) -> None:
        """Give the block back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take(self, seed: int) -> None:
        count = (LAST - FIRST) // BLOCK
        # By the seed, so that a rerun tends to have the same ports.
        for number in ((seed + step) % count for step in range(count)):
            first = FIRST + number * BLOCK
            lock = _lock(first)
            if lock is not None and _is_free(first):
                self.first, self._lock = first, lock
                return
            if lock is not None:
                lock.close()


def _lock(first: int) -> socket.socket | None:
    """Return what holds the block that begins there; None if somebody has it."""
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0harness-ports-{first}")
    except OSError:
        lock.close()
        return None
    return lock


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
