"""Do failures follow a device, zygote or predecessor, if failures take longer than passes? Pure.

A device on which an attempt hangs serves fewer attempts, so that the sizes of its levels depend on
outcomes, and a permutation over fixed sizes names it falsely. Here the reference is the scheduler
itself: outcomes are permuted together with their durations within each cell, the leases are given
out again in the same order to whichever gang is free first, and the statistic is taken again.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from harness.stats.spread import CellRates, measure_outlier, measure_spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

#: Replays: at most so many, and over all of them at most so many attempts.
DRAWS, REPLAYED = 999, 2_000_000


class Origin(Enum):
    """How a factor's value came about: by the plan, or in one of four ways by the scheduler."""

    PLAN = "plan"
    GANG = "gang"
    ZYGOTE = "zygote"
    FIRST = "first attempt of the gang"
    PREVIOUS = "cell of the gang's attempt before"


@dataclass(frozen=True, slots=True)
class LeaseLog:
    """What the scheduler did, in lease order: each attempt's cell, seconds and gang.

    A gang has one attempt at a time. per_zygote: attempts after which a gang's zygote is replaced;
    None if there are no zygotes.
    """

    cells: Sequence[Hashable]
    seconds: Sequence[float]
    gangs: Sequence[Hashable]
    per_zygote: int | None = None


@dataclass(frozen=True)
class Replays:
    """The leases given out again, one row per replay: whose outcome each attempt has, which gang,
    how many that gang had served, and the cell it had served last."""

    failed: Sequence[bool]
    log: LeaseLog
    draws: int

    @cached_property
    def leases(self) -> "tuple[Integers, Integers, Integers, Integers]":
        """Sources, gangs, served, previous."""
        import numpy as np

        rng, cells = np.random.default_rng(0), number(self.log.cells)
        # A sort by cell, and by chance within it, exchanges attempts within their cells.
        source = np.empty((self.draws, len(cells)), dtype=np.int64)
        chance = rng.random(source.shape)
        source[:, np.argsort(cells, kind="stable")] = np.argsort(cells + chance, axis=1)
        seconds = np.asarray(self.log.seconds, dtype=np.float64)[source]
        return source, *_lease(seconds, cells, len(set(self.log.gangs)))

    def compute_p(self, levels: Sequence[Hashable], origin: Origin) -> float:
        """Return the p-value that failures are spread over the levels by chance.

        Assumes that attempts of a cell are exchangeable together with their durations, and that
        leases go in order to the first free gang.
        """
        import numpy as np

        rates = CellRates.count(np.asarray(self.failed, dtype=np.int64), number(self.log.cells))
        outcomes = np.asarray(self.failed, dtype=np.int64)
        source = self.leases[0]
        # A device that hangs serves few attempts: its failures are few, and so are its passes.
        measure = measure_outlier if origin is Origin.GANG else measure_spread
        seen = measure(rates, outcomes[None], number(levels)[None])[0]
        drawn = measure(rates, outcomes[source], self._list_levels(levels, origin))
        return float((1 + (drawn >= seen - 1e-9).sum()) / (self.draws + 1))

    def _list_levels(self, levels: Sequence[Hashable], origin: Origin) -> "Integers":
        import numpy as np

        _, gangs, served, previous = self.leases
        if origin is Origin.GANG:
            at = dict(zip(self.log.gangs, number(levels), strict=True))
            level = np.array([at[gang] for gang in dict.fromkeys(self.log.gangs)], dtype=np.int64)
            found: Integers = level[gangs]
            return found
        if origin is Origin.ZYGOTE:
            rank = served // (self.log.per_zygote or served.shape[1])
            zygote: Integers = rank * (gangs.max() + 1) + gangs
            return zygote
        chosen: Integers = (served == 0).astype(np.int64) if origin is Origin.FIRST else previous
        return chosen


def replay_leases(failed: Sequence[bool], log: LeaseLog) -> Replays:
    """Return replays of a run, as many as its size allows; they are made when first needed."""
    return Replays(failed, log, max(199, min(DRAWS, REPLAYED // max(len(failed), 1))))


def number(values: Sequence[Hashable]) -> "Integers":
    """Return each value's number, in the order of their first appearance."""
    import numpy as np

    numbers = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return np.array([numbers[value] for value in values], dtype=np.int64)


def _lease(
    seconds: "Floats", cells: "Integers", gangs: int
) -> "tuple[Integers, Integers, Integers]":
    """Return the gang of each attempt, how many it had served, and the cell before; by replay."""
    import numpy as np

    draws, attempts = seconds.shape
    free, served = np.zeros((draws, gangs)), np.zeros(draws * gangs, dtype=np.int64)
    last = np.full(draws * gangs, cells.max(initial=0) + 1)
    found = np.empty((3, attempts, draws), dtype=np.int64)
    first, flat = np.arange(draws) * gangs, free.reshape(-1)
    for i in range(attempts):
        gang = free.argmin(axis=1)
        at = first + gang
        found[0, i], found[1, i], found[2, i] = gang, served[at], last[at]
        flat[at] += seconds[:, i]
        served[at] += 1
        last[at] = cells[i]
    return found[0].T, found[1].T, found[2].T
