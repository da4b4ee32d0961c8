"""Writing the wire: one JSON line an event, on the descriptor that HARNESS_EVENTS_FD names.

Telemetry never breaks a test: `emit` raises nothing and does nothing where no supervisor listens.
"""

import json
import math
import operator
import os
import stat
import threading
import time
from typing import Any

#: Longer texts are cut: a message may hold a whole tensor.
MAX_TEXT = 8192
#: Readers call a longer line garbled.
MAX_LINE_BYTES = 1 << 20
_MAX_DEPTH = 8


class _Sink:
    """The descriptor, found once a process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.fd: int | None = None
        self.known = False

    def find(self) -> int | None:
        if not self.known:
            self.fd, self.known = _fd_from_environment(), True
        return self.fd


_sink = _Sink()


def _forget_after_fork() -> None:
    # Another thread may have held the lock at the fork; its owner does not exist in the child.
    _sink.lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)


def configure(fd: int | None) -> None:
    """Write to `fd` from now on; None: look at the environment again at the next event."""
    _sink.fd, _sink.known = fd, fd is not None


def emit(event: str, **keys: object) -> None:
    """Send one event. Never raises; without a supervisor it does nothing."""
    try:
        fd = _sink.find()
        if fd is not None:
            line = _line(event, keys)
            with _sink.lock:
                _write_all(fd, line)
    except (OSError, ValueError, TypeError):
        return


def _fd_from_environment() -> int | None:
    text = os.environ.get("HARNESS_EVENTS_FD", "")
    if not text.isdigit():
        return None
    try:
        # A program that a test executes inherits the variable but not the descriptor: the number
        # may be one of its own files by then.
        is_pipe = stat.S_ISFIFO(os.fstat(int(text)).st_mode)
    except OSError:
        return None
    return int(text) if is_pipe else None


def _line(event: str, keys: dict[str, object]) -> bytes:
    value = {"event": event, "t": time.time(), **_plain_dict(keys, 0)}
    line = json.dumps(value).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        value = {"event": "note", "t": value["t"], "text": f"a {event} event was too long to send"}
        line = json.dumps(value).encode() + b"\n"
    return line


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _plain_dict(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    return {str(k)[:MAX_TEXT]: _plain(v, depth + 1) for k, v in value.items()}


def _plain(value: object, depth: int) -> Any:
    """The value in JSON's own types, bounded in depth and in the length of its texts."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        return _plain_dict(value, depth)
    if isinstance(value, list | tuple | set | frozenset) and depth < _MAX_DEPTH:
        return [_plain(item, depth + 1) for item in value]
    return _number_or_text(value)


def _number_or_text(value: object) -> int | str:
    try:
        # What is no number is told by the TypeError, not by the type.
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return _text(value)


def _text(value: object) -> str:
    try:
        return str(value)[:MAX_TEXT]
    except Exception as error:  # the test's own __str__
        return f"<{type(value).__name__} whose text raised {type(error).__name__}>"
