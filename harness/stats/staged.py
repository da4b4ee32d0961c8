"""Two cells compared at a few planned looks, by Fisher's exact test. Pure.

A test at 5 % that is made at each of six looks is wrong in more than 5 % of runs. Here the level of
a single look is calibrated so that the chance of ever being wrong, over all looks together, is at
most the one that was asked for.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import comb
from typing import TYPE_CHECKING

from harness.stats.boundary import add_block, find_worst_rate
from harness.stats.intervals import CountError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BISECTIONS = 20


@dataclass(frozen=True, slots=True)
class StagedPlan:
    """`looks` looks, each after `per_look` further attempts of both cells."""

    per_look: int
    looks: int


def compute_tail(k: int, n: int, other_k: int, other_n: int) -> float:
    """Return the chance of k or more failures in the first cell if both have one rate.

    Fisher's exact test, one-sided. Raise CountError for impossible counts.
    """
    if not (0 <= k <= n and 0 <= other_k <= other_n):
        raise CountError(f"{k}/{n} against {other_k}/{other_n} cannot be compared")
    failed = k + other_k
    ways = sum(comb(n, i) * comb(other_n, failed - i) for i in range(k, min(failed, n) + 1))
    return ways / comb(n + other_n, failed)


@lru_cache(maxsize=64)
def calibrate_level(plan: StagedPlan, alpha: float) -> float:
    """Return the level of a look at which the whole comparison is wrong with at most alpha.

    One-sided. The largest level for which the chance that `compute_tail` is at or
    below it at any of the looks is at most alpha, exactly, at whichever common rate is worst. At
    least alpha / looks (Bonferroni), which also holds if attempts were lost and looks are uneven.
    """
    low, high = alpha / plan.looks, min(1.0, 2 * alpha)
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if compute_error(plan, middle) <= alpha else (low, middle)
    return low


def compute_error(plan: StagedPlan, level: float) -> float:
    """Return the chance that a look is at or below the level, at the worst common rate."""
    import numpy as np

    cap = plan.per_look * plan.looks
    weights, mass = np.zeros((cap + 1, 2 * cap + 1)), np.ones((1, 1))
    for n in range(1, cap + 1):
        mass = add_block(mass, (0.5, 0.5))
        if n % plan.per_look == 0:
            crossed = tabulate_tails(n) <= level
            failures = np.add.outer(np.arange(n + 1), np.arange(n + 1))[crossed]
            weights[n] += np.bincount(failures, mass[crossed], minlength=2 * cap + 1)
            mass = np.where(crossed, 0.0, mass)
    return find_worst_rate(weights)


@lru_cache(maxsize=64)
def tabulate_tails(n: int) -> "NDArray[np.float64]":
    """Return `compute_tail` for every pair of failure counts of n attempts each."""
    import numpy as np

    return np.array([[compute_tail(k, n, j, n) for j in range(n + 1)] for k in range(n + 1)])
