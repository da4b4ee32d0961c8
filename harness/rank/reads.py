"""Whether a suite reads its cell: an axis that nothing reads is varied in vain; a run says so.

Only reads through `os.environ` in this process are seen. A program that the suite starts may read
the variable, too; copying the environment for it counts as a read.
"""

import json
import os
from collections.abc import MutableMapping

_CELL = "HARNESS_CELL"
#: Not read from the cell: a variable of its own, or the number of ranks.
_NOT_IN_CELL = ("env:", "tp", "devices")

_read: set[str] = set()


class _WatchedEnviron(type(os.environ)):  # type: ignore[misc]  # os._Environ has no public name
    """`os.environ`, remembering who asked for the cell."""

    def __getitem__(self, key: str) -> str:
        _read.add(key)
        value: str = super().__getitem__(key)
        return value


def watch(environ: MutableMapping[str, str] = os.environ) -> None:
    """Begin to remember reads. What was read before does not count."""
    environ.__class__ = _WatchedEnviron
    _read.clear()


def forget_cell() -> None:
    """Take back a read that was our own."""
    _read.discard(_CELL)


def has_read_cell() -> bool:
    """Return whether anything in this process has read the cell since `watch`."""
    return _CELL in _read


def list_unread_axes(cell: str, overlaid: str) -> list[str]:
    """Return the axes of a cell that reach the suite through the cell alone.

    cell: HARNESS_CELL's JSON object; overlaid: names, with commas between, of axes that a
    configuration turned into variables or arguments.
    """
    given = {*overlaid.split(",")}
    return [
        name
        for name in json.loads(cell or "{}")
        if name not in given and not name.startswith(_NOT_IN_CELL)
    ]
