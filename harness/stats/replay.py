"""Do failures follow a device or a zygote, if failures take longer than passes? Pure.

A device on which an attempt hangs serves fewer attempts, so that the sizes of its levels depend on
outcomes, and a permutation over fixed sizes names it falsely. Here the reference is the scheduler
itself: outcomes are permuted together with their durations within each cell, the leases are given
out again in the same order to whichever device is free first, and the statistic is taken again.
"""

import heapq
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

#: Replays, and how many attempts still get that many; larger runs get fewer.
DRAWS, FEWER_DRAWS, MANY_ATTEMPTS = 499, 249, 2000
#: A first run of so many is final if its p exceeds PLAIN.
FIRST_DRAWS, PLAIN = 49, 0.2
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
    import numpy as np

    rng = np.random.default_rng(0)
    outcomes, seconds = np.array(failed, dtype=np.float64), np.array(log.seconds)
    cells = _number(log.cells)
    counts = np.bincount(cells)
    rates = (np.bincount(cells, outcomes) / counts)[cells]
    # A sort by cell, and by chance within it, exchanges attempts within their cells.
    in_cells = np.argsort(cells, kind="stable")
    gangs, per_zygote = len(set(log.devices)), log.per_zygote if by_zygote else None
    seen = _measure_spread(outcomes - rates, rates, _number(levels))
    most = DRAWS if len(failed) <= MANY_ATTEMPTS else FEWER_DRAWS
    higher = 0
    for draw in range(1, most + 1):
        source = np.empty(len(cells), dtype=np.int64)
        source[in_cells] = np.lexsort((rng.random(len(cells)), cells))
        again = _lease(seconds[source].tolist(), gangs, per_zygote)
        higher += _measure_spread(outcomes[source] - rates, rates, again) >= seen - 1e-9
        if draw == FIRST_DRAWS and (1 + higher) / (draw + 1) > PLAIN:
            return float((1 + higher) / (draw + 1))
    return float((1 + higher) / (most + 1))


def _number(values: Sequence[Hashable]) -> "Integers":
    """Return each value's number, in the order of their first appearance."""
    import numpy as np

    numbers = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return np.array([numbers[value] for value in values], dtype=np.int64)


def _measure_spread(gaps: "Floats", rates: "Floats", levels: "Integers") -> float:
    import numpy as np

    variances = np.bincount(levels, rates * (1 - rates)) + _LEAST
    return float((np.bincount(levels, gaps) ** 2 / variances).sum())


def _lease(seconds: Sequence[float], gangs: int, per_zygote: int | None) -> "Integers":
    """Return the number of the device, or of the zygote, that each attempt gets."""
    import numpy as np

    free = [(0.0, gang) for gang in range(gangs)]
    found = np.empty(len(seconds), dtype=np.int64)
    served = [0] * gangs
    zygotes: dict[tuple[int, int], int] = {}
    for i, took in enumerate(seconds):
        at, gang = free[0]
        heapq.heapreplace(free, (at + took, gang))
        if per_zygote:
            zygote = gang, served[gang] // per_zygote
            served[gang] += 1
            found[i] = zygotes.setdefault(zygote, len(zygotes))
        else:
            found[i] = gang
    return found
