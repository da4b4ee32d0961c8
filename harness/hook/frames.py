"""Reading variables of the frames that call us, without keeping their values alive."""

import sys
from types import FrameType
from typing import Any

#: Set in `co_flags` of functions, whose variables are no dictionary: inspect.CO_OPTIMIZED.
_OPTIMIZED = 1
#: The frame, our variable and the call's argument.
_OURS_ALONE = 3


def read_locals(frame: FrameType, *names: str) -> list[Any]:
    """Return the values of these local variables of a frame; None for each that it lacks.

    Before CPython 3.13 `f_locals` leaves a copy of a function's variables in its frame, which would
    hold what the function drops until it returns: a tensor that must die would live.
    """
    values = frame.f_locals
    found = [values.get(name) for name in names]
    is_copy = sys.version_info < (3, 13) and frame.f_code.co_flags & _OPTIMIZED
    # A function that called `locals()` has the same dictionary, and keeps it.
    if is_copy and sys.getrefcount(values) <= _OURS_ALONE:
        values.clear()
    return found
