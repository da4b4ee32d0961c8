"""How many attempts a question needs. Pure; scipy and numpy are loaded when first used."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.stats.contrasts import ALPHA, EXACT_LIMIT
from harness.stats.intervals import RateError, check_rate
from harness.stats.sequential import PLANNED, block_factors, mixture, threshold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Runs simulated for a sequential plan, and the blocks after which the search is given up.
PATHS = 2000
MOST_BLOCKS = 20_000
_CHUNK = 100
_NUISANCE = 200


@dataclass(frozen=True, slots=True)
class FixedPlan:
    """Attempts per cell for a comparison at a fixed number, and the test that is planned for."""

    n: int
    test: str


@dataclass(frozen=True, slots=True)
class SequentialPlan:
    """Blocks until a decision: `cap` reaches the power, `expected` is the mean under that cap,
    `n90` decides nine runs of ten."""

    cap: int
    expected: float
    n90: int


def power(n: int, rate: float, target: float, alpha: float = ALPHA) -> float:
    """Probability that two cells of n attempts each are told apart, two-sided at alpha.

    Up to EXACT_LIMIT exact for Boschloo's test: the binomial probability of its rejection region.
    Above, for Fisher's, by the normal approximation with continuity correction (Casagrande, Pike
    and Smith 1978). Assumes independent attempts with one rate per cell.
    """
    _check_pair(rate, target)
    if n > EXACT_LIMIT:
        return _fisher_power(n, rate, target, alpha)
    from scipy.stats import binom

    counts = range(n + 1)
    joint = binom.pmf(counts, n, rate)[:, None] * binom.pmf(counts, n, target)[None, :]
    return float(joint[boschloo_region(n, alpha)].sum())


def n_per_cell(rate: float, target: float, wanted: float = 0.8, alpha: float = ALPHA) -> FixedPlan:
    """Smallest fixed number of attempts per cell with the wanted `power`; bisected.

    For m planned contrasts give alpha/m: Holm's first step, hence conservative.
    """
    _check_pair(rate, target)
    _check_power(wanted)
    low, high = 1, 2
    while power(high, rate, target, alpha) < wanted:
        low, high = high, 2 * high if high >= EXACT_LIMIT else min(2 * high, EXACT_LIMIT)
    while high - low > 1:
        middle = (low + high) // 2
        if power(middle, rate, target, alpha) >= wanted:
            high = middle
        else:
            low = middle
    return FixedPlan(high, "Boschloo" if high <= EXACT_LIMIT else "Fisher")


def _fisher_power(n: int, rate: float, target: float, alpha: float) -> float:
    from scipy.special import ndtr, ndtri

    gap, mean = abs(rate - target), (rate + target) / 2
    uncorrected = n * max(1 - 1 / (n * gap), 0.0) ** 2
    spread = math.sqrt(rate * (1 - rate) + target * (1 - target))
    if spread == 0:
        return 1.0
    critical = -ndtri(alpha / 2) * math.sqrt(2 * mean * (1 - mean))
    return float(ndtr((gap * math.sqrt(uncorrected) - critical) / spread))


@lru_cache(maxsize=64)
def boschloo_region(n: int, alpha: float = ALPHA) -> "NDArray[np.bool_]":
    """The tables (failures of one cell, of the other) that Boschloo's test rejects at alpha.

    Tables are ordered by Fisher's one-sided p and taken in while their probability stays at or
    below alpha/2 at every common rate (a grid of 200), on each side.
    """
    import numpy as np
    from scipy.stats import binom

    fisher = _fisher_one_sided(n)
    order = np.argsort(fisher, axis=None)
    order = order[fisher.ravel()[order] <= 0.5]
    rates = np.linspace(0.0, 0.5, _NUISANCE + 1)[1:]
    pmf = binom.pmf(np.arange(n + 1)[:, None], n, rates)
    arm, reference = np.unravel_index(order, fisher.shape)
    sizes = np.cumsum(pmf[arm] * pmf[reference], axis=0)
    # The region of one side is carried to rates above 1/2 by exchanging passes and failures.
    mirrored = np.cumsum(pmf[n - arm] * pmf[n - reference], axis=0)
    size = np.maximum(sizes.max(axis=1), mirrored.max(axis=1))
    ordered = fisher.ravel()[order]
    last_of_tie = np.append(np.diff(ordered) > 1e-12 * ordered[1:], True)
    fits = last_of_tie & (size <= alpha / 2)
    taken = order[: int(np.flatnonzero(fits)[-1]) + 1] if fits.any() else order[:0]
    region = np.zeros_like(fisher, dtype=np.bool_)
    region.ravel()[taken] = True
    return region | region.T


def _fisher_one_sided(n: int) -> "Floats":
    """P(first cell has at least its failures | margins), for every table of two cells of n."""
    import numpy as np
    from scipy.special import gammaln

    counts = np.arange(n + 1)
    choose = gammaln(n + 1) - gammaln(counts + 1) - gammaln(n - counts + 1)
    p = np.empty((n + 1, n + 1))
    for total in range(2 * n + 1):
        k = np.arange(max(0, total - n), min(n, total) + 1)
        logs = choose[k] + choose[total - k]
        weights = np.exp(logs - logs.max())
        p[k, total - k] = np.cumsum(weights[::-1])[::-1] / weights.sum()
    return p


def sequential_plan(
    rate: float,
    target: float,
    wanted: float = 0.8,
    contrasts: int = 1,
    planned: tuple[float, float] | None = None,
    seed: int = 0,
) -> SequentialPlan:
    """Blocks until the e-process decides between two rates, simulated with PATHS seeded runs.

    `planned` is the alternative the e-process was set up for; the true rates where it is None.
    """
    _check_pair(rate, target)
    _check_power(wanted)
    times = decision_times(rate, target, max(wanted, 0.9), contrasts, planned, seed)
    cap, n90 = _quantile(times, wanted), _quantile(times, 0.9)
    return SequentialPlan(cap, sum(min(t, cap) for t in times) / len(times), n90)


def more_blocks(
    rate: float, target: float, counts: tuple[int, int, int, int], contrasts: int = 1
) -> int:
    """Further blocks that decide a contrast with 80 % power, given the blocks counted so far."""
    times = decision_times(rate, target, 0.8, contrasts, PLANNED, 0, counts)
    return _quantile(times, 0.8)


def _quantile(times: list[int], share: float) -> int:
    return sorted(times)[math.ceil(share * len(times)) - 1]


def decision_times(
    rate: float,
    target: float,
    share: float,
    contrasts: int = 1,
    planned: tuple[float, float] | None = None,
    seed: int = 0,
    start: tuple[int, int, int, int] = (0, 0, 0, 0),
    paths: int = PATHS,
) -> list[int]:
    """Blocks after which simulated runs decide, until `share` of them have; later ones read as
    MOST_BLOCKS + 1. Raises RateError where so many have not decided by MOST_BLOCKS."""
    import numpy as np

    rng = np.random.default_rng(seed)
    pair = planned or (rate, target)
    counts = np.tile(np.array(start, dtype=np.int64), (paths, 1))
    times = np.full(paths, MOST_BLOCKS + 1)
    running = np.arange(paths)
    for begun in range(0, MOST_BLOCKS, _CHUNK):
        failed = rng.random((len(running), _CHUNK, 2)) < (rate, target)
        code = 2 * failed[..., 0] + failed[..., 1]
        history = counts[:, None, :] + np.cumsum(code[..., None] == np.arange(4), axis=1)
        hit = two_sided_e(history, pair) >= threshold(contrasts)
        decided = hit.any(axis=1)
        times[running[decided]] = begun + 1 + hit[decided].argmax(axis=1)
        running, counts = running[~decided], history[~decided, -1]
        if len(running) <= (1 - share) * paths:
            return [int(time) for time in times]
    raise RateError(f"{rate} against {target} is not decided within {MOST_BLOCKS} blocks per cell")


def two_sided_e(counts: "NDArray[np.int64]", planned: tuple[float, float] = PLANNED) -> "Floats":
    """`evidence().e` for many block counts at once: the last axis is neither, reference, arm,
    both."""
    import numpy as np

    sides = []
    for ordered in (counts, counts[..., [0, 2, 1, 3]]):
        total = np.zeros(counts.shape[:-1])
        for weight, rate, reference in mixture(planned):
            factors = np.array(block_factors(rate, reference))
            logs = np.log(np.where(factors > 0, factors, 1e-300))
            total += weight * np.exp(np.minimum(ordered @ logs, 700.0))
        sides.append(total)
    return np.maximum(*sides) / 2


def device_hours(attempts: float, seconds: float, devices: int = 1) -> float:
    """Hours of device time for so many attempts of a known duration on so many devices each."""
    if not (attempts >= 0 and seconds >= 0 and devices >= 1):
        raise RateError(f"{attempts} attempts of {seconds} s on {devices} devices cannot be")
    return attempts * seconds * devices / 3600


def _check_pair(rate: float, target: float) -> None:
    check_rate(rate)
    check_rate(target)
    if rate == target:
        raise RateError(f"equal rates of {rate} cannot be told apart by any number of attempts")


def _check_power(wanted: float) -> None:
    if not 0 < wanted < 1:
        raise RateError(f"a power of {wanted} cannot be; give one between 0 and 1")
