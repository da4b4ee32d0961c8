"""The attempt strip: one mark per attempt, in the order of their start, a row per device. Pure."""

from collections.abc import Sequence
from typing import Any

from harness.core.records import AttemptRow
from harness.core.statuses import AttemptStatus
from harness.report.formats.text import make_plain
from harness.report.run_export import get_axes

#: What the page draws for each status; the position in this list is the mark's number.
STATUSES = (
    AttemptStatus.PASSED,
    AttemptStatus.FAILED,
    AttemptStatus.INFRA,
    AttemptStatus.CENSORED,
)


def make_strip(attempts: Sequence[AttemptRow]) -> dict[str, Any]:
    """Return columns of numbers that index lists of names, so that 10,000 attempts stay small."""
    rows = sorted(attempts, key=lambda row: (row.started, row.position))
    devices = _Index(sorted({device for row in rows for device in row.devices}))
    cells = _Index([])
    kinds = _Index([""])
    return {
        "ids": [row.id for row in rows],
        "status": [STATUSES.index(row.status) for row in rows],
        "device": [[devices.find(device) for device in row.devices] for row in rows],
        "cell": [cells.find(f"{row.suite} · {get_axes(row).label}") for row in rows],
        "kind": [kinds.find(row.kind or "") for row in rows],
        "seed": [row.seed for row in rows],
        "seconds": [round(row.wall_seconds, 1) for row in rows],
        "devices": devices.names,
        "cells": cells.names,
        "kinds": kinds.names,
        "statuses": [status.value for status in STATUSES],
    }


class _Index:
    """Names, each with its place in the list."""

    def __init__(self, names: Sequence[str]) -> None:
        self._known = {name: place for place, name in enumerate(names)}

    def find(self, name: str) -> int:
        """Return the name's place; a new name is added at the end."""
        return self._known.setdefault(name, len(self._known))

    @property
    def names(self) -> list[str]:
        """The names, fit to be shown."""
        return [make_plain(name, 300) for name in self._known]
