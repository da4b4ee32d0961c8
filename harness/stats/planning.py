"""How many attempts a question needs, until decided or at a fixed number. Pure."""

import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from harness.stats.contrasts import ALPHA
from harness.stats.intervals import (
    RateError,
    attempts_to_prove_below,
    attempts_to_prove_below_anytime,
)
from harness.stats.power import check_pair, check_power, n_per_cell
from harness.stats.question import Question
from harness.stats.sequential import PLANNED, Blocks, Planned, block_factors, mixture, threshold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Runs simulated for a sequential plan, and the blocks after which the search is given up.
PATHS = 2000
MOST_BLOCKS = 20_000
NO_BLOCKS = Blocks(0, 0, 0, 0)
_CHUNK = 100


@dataclass(frozen=True, slots=True)
class SequentialPlan:
    """Blocks until a decision: `cap` reaches the power, `expected` is the mean under that cap,
    `n90` decides nine runs of ten."""

    cap: int
    expected: float
    n90: int


def sequential_plan(
    rate: float,
    target: float,
    wanted: float = 0.8,
    contrasts: int = 1,
    planned: Planned | None = None,
    seed: int = 0,
) -> SequentialPlan:
    """Blocks until the e-process decides between two rates, simulated with PATHS seeded runs.

    `planned` is the alternative the e-process was set up for; the true rates where it is None.
    """
    check_pair(rate, target)
    check_power(wanted)
    times = decision_times(rate, target, max(wanted, 0.9), contrasts, planned, seed)
    cap, n90 = _quantile(times, wanted), _quantile(times, 0.9)
    return SequentialPlan(cap, sum(min(t, cap) for t in times) / len(times), n90)


def more_blocks(counted: Blocks, contrasts: int = 1, planned: Planned = PLANNED) -> int:
    """Further blocks that decide a contrast with 80 % power if the planned rates are the truth,
    given the blocks counted so far. Simulated like `sequential_plan`."""
    times = decision_times(max(planned), min(planned), 0.8, contrasts, planned, start=counted)
    return _quantile(times, 0.8)


def _quantile(times: list[int], share: float) -> int:
    return sorted(times)[math.ceil(share * len(times)) - 1]


def decision_times(
    rate: float,
    target: float,
    share: float,
    contrasts: int = 1,
    planned: Planned | None = None,
    seed: int = 0,
    start: Blocks = NO_BLOCKS,
    paths: int = PATHS,
) -> list[int]:
    """Blocks after which simulated runs decide, until `share` of them have; later ones read as
    MOST_BLOCKS + 1. Raises RateError where so many have not decided by MOST_BLOCKS."""
    import numpy as np

    if math.log(threshold(contrasts)) > MOST_BLOCKS * _growth(rate, target):
        raise _too_small(rate, target)
    rng = np.random.default_rng(seed)
    pair = planned or (rate, target)
    counts = np.tile(np.array(astuple(start), dtype=np.int64), (paths, 1))
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
    raise _too_small(rate, target)


def _too_small(rate: float, target: float) -> RateError:
    return RateError(f"{rate} against {target} is not decided within {MOST_BLOCKS} blocks per cell")


def _growth(rate: float, target: float) -> float:
    """Mean log e-value of a block if these rates are known and true: no e-process grows faster."""
    passes, target_passes = 1 - rate, 1 - target
    chances = (passes * target_passes, passes * target, rate * target_passes, rate * target)
    factors = block_factors(rate, target)
    return sum(c * math.log(f) for c, f in zip(chances, factors, strict=True) if c)


def two_sided_e(counts: "NDArray[np.int64]", planned: Planned = PLANNED) -> "Floats":
    """The e-value that decides, of many block counts at once: half of the larger one-sided one."""
    import numpy as np

    exchanged = counts[..., [0, 2, 1, 3]]
    return np.maximum(one_sided_e(counts, planned), one_sided_e(exchanged, planned)) / 2


def one_sided_e(counts: "NDArray[np.int64]", planned: Planned = PLANNED) -> "Floats":
    """E-values for "the arm fails more often": the mixture of products of `block_factors`.

    The last axis counts blocks by what failed: neither, reference, arm, both. A test martingale's
    value under equal rates, hence P(ever >= 1/alpha) <= alpha (Ville 1939).
    """
    import numpy as np

    total = np.zeros(counts.shape[:-1])
    for weight, rate, reference in mixture(planned):
        factors = np.array(block_factors(rate, reference))
        logs = np.log(np.where(factors > 0, factors, 1e-300))
        total += weight * np.exp(np.minimum(counts @ logs, 700.0))
    return total


def device_hours(attempts: float, seconds: float, devices: int = 1) -> float:
    """Hours of device time for so many attempts of a known duration on so many devices each."""
    if not (attempts >= 0 and seconds >= 0 and devices >= 1):
        raise RateError(f"{attempts} attempts of {seconds} s on {devices} devices cannot be")
    return attempts * seconds * devices / 3600


def shortfalls(question: Question, repeats: int) -> list[str]:
    """Why a budget of so many attempts per cell cannot be expected to answer; empty if it can.

    A contrast needs 80 % power for the pair of rates it was planned for, a gate the clean
    attempts that prove it.
    """
    told = []
    if question.contrasts:
        high, low = max(question.planned), min(question.planned)
        needed = attempts_to_compare(question)
        if needed > repeats:
            told.append(
                f"{repeats} attempts per cell cannot be expected to tell {high:g} from {low:g}: "
                f"80 % power needs {needed} with {len(question.contrasts)} planned contrasts"
            )
    if question.gate:
        needed = attempts_to_hold(question.gate, question.until_decided)
        if needed > repeats:
            told.append(
                f"{repeats} attempts per cell cannot prove a rate below {100 * question.gate:g} %: "
                f"that takes {needed} clean ones"
            )
    return told


def attempts_to_hold(gate: float, until_decided: bool) -> int:
    """Clean attempts per cell that prove a gate's rate."""
    prove = attempts_to_prove_below_anytime if until_decided else attempts_to_prove_below
    return prove(gate)


def attempts_to_compare(question: Question) -> int:
    """Attempts per cell that tell the planned rates apart with 80 % power, in every contrast."""
    high, low = max(question.planned), min(question.planned)
    m = len(question.contrasts)
    if question.until_decided:
        return sequential_plan(high, low, contrasts=m, planned=question.planned).cap
    return n_per_cell(high, low, alpha=ALPHA / m).n
