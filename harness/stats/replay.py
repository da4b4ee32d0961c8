"""Do failures follow a device or a zygote, if failures take longer than passes? Pure.

A device on which an attempt hangs serves fewer attempts, so that the sizes of its levels depend on
outcomes, and a permutation over fixed sizes names it falsely. Here the reference is the scheduler
itself: outcomes are permuted together with their durations within each cell, the leases are given
out again in the same order to whichever device is free first, and the statistic is taken again.
"""

import heapq
import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

#: Replays, and how many attempts still get that many; larger runs get fewer.
DRAWS, FEWER_DRAWS, MANY_ATTEMPTS = 499, 249, 2000
#: A first run of so many is final if its p exceeds PLAIN.
FIRST_DRAWS, PLAIN = 99, 0.2
_LEAST = 0.5


@dataclass(frozen=True, slots=True)
class LeaseLog:
    """What the scheduler did, in lease order: each attempt's cell, seconds and device.

    per_zygote: attempts after which a device's zygote is replaced; None for one of each device.
    """

    cells: Sequence[Hashable]
    seconds: Sequence[float]
    devices: Sequence[Hashable]
    per_zygote: int | None = None


def compute_replay_p(
    failed: Sequence[bool], levels: Sequence[Hashable], log: LeaseLog, by_zygote: bool
) -> float:
    """Return the p-value that failures are spread over devices, or zygotes, by chance.

    The statistic sums over levels the squared distance of the failures from those that the level's
    cells expect, over their variance (plus a half, so that no tiny level rules). Assumes that
    attempts of a cell are exchangeable and that leases go in order to the first free device.
    """
    chance = random.Random(0)
    rates = _rate_cells(failed, log.cells)
    seen = _measure_spread(failed, levels, log.cells, rates)
    most = DRAWS if len(failed) <= MANY_ATTEMPTS else FEWER_DRAWS
    higher = 0
    for draw in range(1, most + 1):
        outcomes, seconds = _permute(failed, log, chance)
        again = _lease(seconds, len(set(log.devices)), log.per_zygote if by_zygote else None)
        higher += _measure_spread(outcomes, again, log.cells, rates) >= seen - 1e-9
        if draw == FIRST_DRAWS and (1 + higher) / (draw + 1) > PLAIN:
            return (1 + higher) / (draw + 1)
    return (1 + higher) / (most + 1)


def _rate_cells(failed: Sequence[bool], cells: Sequence[Hashable]) -> dict[Hashable, float]:
    counts: dict[Hashable, list[int]] = {}
    for fails, cell in zip(failed, cells, strict=True):
        found = counts.setdefault(cell, [0, 0])
        found[0] += fails
        found[1] += 1
    return {cell: k / n for cell, (k, n) in counts.items()}


def _measure_spread(
    failed: Sequence[bool],
    levels: Sequence[Hashable],
    cells: Sequence[Hashable],
    rates: dict[Hashable, float],
) -> float:
    gaps: dict[Hashable, float] = {}
    variances: dict[Hashable, float] = {}
    for fails, level, cell in zip(failed, levels, cells, strict=True):
        rate = rates[cell]
        gaps[level] = gaps.get(level, 0.0) + fails - rate
        variances[level] = variances.get(level, _LEAST) + rate * (1 - rate)
    return sum(gap * gap / variances[level] for level, gap in gaps.items())


def _permute(
    failed: Sequence[bool], log: LeaseLog, chance: random.Random
) -> tuple[list[bool], list[float]]:
    """Return outcomes with their durations, exchanged at random among the attempts of each cell."""
    places: dict[Hashable, list[int]] = {}
    for i, cell in enumerate(log.cells):
        places.setdefault(cell, []).append(i)
    outcomes, seconds = list(failed), list(log.seconds)
    for indices in places.values():
        drawn = indices[:]
        chance.shuffle(drawn)
        for to, source in zip(indices, drawn, strict=True):
            outcomes[to], seconds[to] = failed[source], log.seconds[source]
    return outcomes, seconds


def _lease(seconds: Sequence[float], gangs: int, per_zygote: int | None) -> list[Hashable]:
    """Return the device, or the zygote, that each attempt gets."""
    free = [(0.0, gang) for gang in range(gangs)]
    served = [0] * gangs
    found: list[Hashable] = []
    for took in seconds:
        at, gang = heapq.heappop(free)
        found.append((gang, served[gang] // per_zygote) if per_zygote else gang)
        served[gang] += 1
        heapq.heappush(free, (at + took, gang))
    return found
