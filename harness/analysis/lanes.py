"""Which gang an attempt had, and what else ran on its devices: `--per-gpu` shares a GPU. Pure."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.core.records import AttemptRow

#: The end of an attempt that is cut off: a gang is leased again a moment before it is recorded.
_SLACK = 0.1


@dataclass(frozen=True, slots=True)
class Lane:
    """One of the gangs that share these devices. `others`: attempts that ran there at the start.

    Two lanes of one gang and number are equal whatever ran beside them.
    """

    gang: tuple[str, ...]
    number: int
    others: int = field(default=0, compare=False)


def assign_lanes(attempts: Sequence[AttemptRow]) -> list[Lane]:
    """Return each attempt's lane: the first of its devices' that was free when it started."""
    running: dict[tuple[str, ...], list[tuple[float, int]]] = {}
    free: dict[tuple[str, ...], list[int]] = {}
    found: dict[int, Lane] = {}
    for i in sorted(range(len(attempts)), key=lambda i: attempts[i].started):
        row = attempts[i]
        gang = tuple(row.devices)
        ends, idle = running.setdefault(gang, []), free.setdefault(gang, [])
        while ends and ends[0][0] <= row.started:
            heapq.heappush(idle, heapq.heappop(ends)[1])
        lane = heapq.heappop(idle) if idle else len(ends)
        found[i] = Lane(gang, lane, len(ends))
        heapq.heappush(ends, (row.started + (1 - _SLACK) * row.wall_seconds, lane))
    return [found[i] for i in range(len(attempts))]
