"""Whatever an attempt says, it can be stored: text without lone surrogates, numbers that fit."""

import math
from typing import Any

_LARGEST = (1 << 63) - 1
#: Deeper than any event of ours; JSON that is nested deeper ends as text.
_MOST_LEVELS = 24


def clean(value: Any, levels: int = _MOST_LEVELS) -> Any:
    """Return a value that JSON and every database take, as near to the given one as can be."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return max(-_LARGEST, min(value, _LARGEST))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if levels == 0:
        return "(nested too deeply)"
    if isinstance(value, dict):
        return {clean_text(str(k)): clean(v, levels - 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item, levels - 1) for item in value]
    return clean_text(str(value))


def clean_text(text: str) -> str:
    r"""Return the text with each lone surrogate written out, as `\udcff`, and no NUL."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
