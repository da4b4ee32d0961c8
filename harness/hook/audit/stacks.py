"""Stacks as the audit's lines carry them: the suite's frames, innermost first, in few bytes."""

import functools
import sys
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any

from .model import Stack

_MOST_FRAMES = 8
_MOST_DEPTH = 80
_MOST_TEXT = 300
#: Frames of these say nothing about who allocated or freed. Matched inside the file's name.
_INNER = (
    *("/torch/", "/_pytest/", "/pluggy/", "/contextlib.py", "/weakref.py", "??"),
    *("/harness/hook/", "/harness/engine/capture/recorded.py", "/harness/engine/capture/arena"),
)


def take_stack() -> Stack:
    """Return the stack of the caller."""
    frame: FrameType | None = sys._getframe(1)
    found: list[str] = []
    for _ in range(_MOST_DEPTH):
        if frame is None or len(found) == _MOST_FRAMES:
            break
        code = frame.f_code
        if not _is_inner(code.co_filename):
            found.append(format_frame(code.co_name, code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return tuple(found)


def read_frames(frames: Iterable[Mapping[str, Any]]) -> Stack:
    """Return the stack that torch's allocator recorded."""
    named = [(str(f.get("filename")), str(f.get("name")), int(f.get("line", 0))) for f in frames]
    outer = [(file, name, line) for file, name, line in named if not _is_inner(file)]
    return tuple(format_frame(name, file, line) for file, name, line in outer[:_MOST_FRAMES])


def format_frame(function: str, file: str, line: int) -> str:
    """Return one frame in one line."""
    return f"{function} {file}:{line}"[:_MOST_TEXT]


@functools.cache
def _is_inner(file: str) -> bool:
    return any(part in file for part in _INNER)
