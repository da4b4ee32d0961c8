"""Reading the wire: JSON lines from a process that may be broken or malicious.

`docs/reference/wire.md` is the schema. Nothing here raises on bad input: a line that is no event is
garbled, a key of the wrong type is as good as absent.
"""

import json
from typing import Any

from harness.core.kinds import Exc, Frame

#: A longer line is garbled: no event needs more, and memory must stay bounded.
MAX_LINE_BYTES = 1 << 20

#: No time, size or count of an attempt is larger; a larger one, and a negative one, is made up.
MOST_AMOUNT = 1 << 50
MOST_COUNT = 10**9

Event = dict[str, Any]


def parse_line(line: bytes) -> Event | None:
    """One event, or None where the line is garbled."""
    if len(line) > MAX_LINE_BYTES:
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("event"), str):
        return None
    return value


def read_text(event: Event, key: str, default: str = "") -> str:
    """A text value, else the default."""
    value = event.get(key)
    return value if isinstance(value, str) else default


def read_number(event: Event, key: str, default: float = 0.0) -> float:
    """A finite number, else the default."""
    value = event.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return float(value) if abs(value) < 1e18 else default


def read_amount(event: Event, key: str, most: int = MOST_AMOUNT) -> float:
    """Return seconds, bytes or a count: from 0 to `most`, else 0."""
    value = read_number(event, key)
    return value if 0 <= value <= most else 0.0


def read_index(event: Event, key: str) -> int:
    """Return a number that counts things, as ranks and lines: from 0 to a billion, else 0."""
    return int(read_amount(event, key, MOST_COUNT))


def read_texts(event: Event, key: str) -> list[str]:
    """The text items of a list; anything else in it is dropped."""
    value = event.get(key)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def read_counts(event: Event, key: str) -> dict[str, int]:
    """A mapping of names to counts; anything else in it is dropped."""
    value = event.get(key)
    if not isinstance(value, dict):
        return {}
    return {
        k: v
        for k, v in value.items()
        if isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= MOST_AMOUNT
    }


def read_exception(event: Event) -> Exc | None:
    """The event's `exc`, or None where it has none."""
    value = event.get("exc")
    if not isinstance(value, dict):
        return None
    return Exc(
        types=tuple(read_texts(value, "types"))[:32],
        message=read_text(value, "message")[:8192],
        frames=read_frames(value),
    )


def read_frames(event: Event) -> tuple[Frame, ...]:
    """The lines of a traceback, the innermost last; anything else in `frames` is dropped."""
    frames = event.get("frames")
    return tuple(
        Frame(read_text(f, "file"), read_index(f, "line"), read_text(f, "function"))
        for f in (frames if isinstance(frames, list) else [])[:12]
        if isinstance(f, dict)
    )
