"""What a graph is called in findings: by the role and the size that it was captured for."""

import sys
from types import FrameType
from typing import Any

from ..frames import read_locals

_MOST_FRAMES = 40
#: What engines and scripts call what a graph computes, and the number that it is captured for.
_ROLES = ("role",)
_SIZES = ("bs", "batch_size", "num_tokens", "capture_bs", "size")


def name_graph(number: int) -> str:
    """Return a name for the graph that is captured now, read from the frames that capture it."""
    role = size = None
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MOST_FRAMES):
        if frame is None or (role and size):
            break
        values = read_locals(frame, *_ROLES, *_SIZES)
        role = role or next(filter(None, map(_read_role, values[: len(_ROLES)])), None)
        size = size or next(filter(_is_size, values[len(_ROLES) :]), None)
        frame = frame.f_back
    return f"{role or f'graph {number}'}{f' bs {size}' if size else ''}"


def _read_role(value: Any) -> str | None:
    role = value if isinstance(value, str) else getattr(value, "name", None)
    return role if isinstance(role, str) and role.isprintable() and len(role) < 80 else None


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
