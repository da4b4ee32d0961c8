"""How many attempts a question needs, until decided or at a fixed number. Pure."""

import math
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.core.decision_rule import Alternative
from harness.core.plan import EXPECTED_RATES
from harness.stats.boundary import LARGEST_CAP, Design, choose_rule, follow
from harness.stats.contrasts import ALPHA
from harness.stats.intervals import (
    RateError,
    attempts_needed_below,
    attempts_needed_below_anytime,
    compute_log_e,
    compute_log_e_below,
)
from harness.stats.planned import Question
from harness.stats.pooled_rest import RestDesign, attempts_needed_against_rest
from harness.stats.power import attempts_needed_fixed, check_pair, check_power
from harness.stats.sequential import (
    Blocks,
    RatePair,
    compute_block_factors,
    compute_threshold,
    list_alternatives,
)
from harness.stats.wording import describe_too_few_to_compare, describe_too_few_to_prove

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
class SequentialBudget:
    """Blocks until a decision: `cap` reaches the power, `expected` is the mean under that cap,
    `n90` decides nine runs of ten."""

    cap: int
    expected: float
    n90: int


@lru_cache(maxsize=64)
def attempts_needed_until_decided(
    rate: float,
    target: float,
    wanted: float = 0.8,
    contrasts: int = 1,
    alternative: Alternative = Alternative.TWO_SIDED,
) -> SequentialBudget:
    """Return the smallest cap whose calibrated boundary, with futility, has the wanted power.

    Exact up to a cap of `boundary.LARGEST_CAP`; above it the e-process is simulated.
    """
    check_pair(rate, target)
    check_power(wanted)
    guess = attempts_needed_fixed(rate, target, wanted, ALPHA / contrasts).n
    if alternative is not Alternative.TWO_SIDED:
        guess = guess * 4 // 5
    for cap in range(max(guess * 9 // 10, 2), LARGEST_CAP + 1):
        design = Design(cap, (rate, target), alternative)
        if follow(design, choose_rule(design, contrasts), _turn(design)).power >= wanted:
            return _budget(design, contrasts)
    return simulate_budget(rate, target, wanted, contrasts)


def _turn(design: Design) -> RatePair:
    """Return the expected rates with the arm's first, as the alternative has them."""
    pair = max(design.expected), min(design.expected)
    return pair[::-1] if design.alternative is Alternative.LESS else pair


def _budget(design: Design, contrasts: int) -> SequentialBudget:
    course = follow(design, choose_rule(design, contrasts), _turn(design))
    return SequentialBudget(design.cap, course.mean, course.find_quantile(0.9))


def simulate_budget(
    rate: float,
    target: float,
    wanted: float = 0.8,
    contrasts: int = 1,
    expected: RatePair | None = None,
    seed: int = 0,
) -> SequentialBudget:
    """Return the budget of an open-ended run, e >= m/0.05, simulated with PATHS seeded runs.

    `expected` is the alternative that the e-process was set up for; None: the true rates.
    """
    check_pair(rate, target)
    check_power(wanted)
    times = simulate_decisions(rate, target, max(wanted, 0.9), contrasts, expected, seed)
    cap, n90 = _quantile(times, wanted), _quantile(times, 0.9)
    return SequentialBudget(cap, sum(min(t, cap) for t in times) / len(times), n90)


@lru_cache(maxsize=64)
def attempts_needed_more(
    counted: Blocks, contrasts: int = 1, expected: RatePair = EXPECTED_RATES
) -> int:
    """Further blocks that decide a contrast with 80 % power if the planned rates are the truth,
    given the blocks counted so far. Simulated like `attempts_needed_until_decided`."""
    times = simulate_decisions(
        max(expected), min(expected), 0.8, contrasts, expected, start=counted
    )
    return _quantile(times, 0.8)


def _quantile(times: list[int], share: float) -> int:
    return sorted(times)[math.ceil(share * len(times)) - 1]


def simulate_decisions(
    rate: float,
    target: float,
    share: float,
    contrasts: int = 1,
    expected: RatePair | None = None,
    seed: int = 0,
    start: Blocks = NO_BLOCKS,
    paths: int = PATHS,
) -> list[int]:
    """Blocks after which simulated runs decide, until `share` of them have; later ones read as
    MOST_BLOCKS + 1. Raises RateError where so many have not decided by MOST_BLOCKS."""
    import numpy as np

    if math.log(compute_threshold(contrasts)) > MOST_BLOCKS * _growth(rate, target):
        raise _is_too_small(rate, target)
    rng = np.random.default_rng(seed)
    pair = expected or (rate, target)
    counts = np.tile(np.array(astuple(start), dtype=np.int64), (paths, 1))
    times = np.full(paths, MOST_BLOCKS + 1)
    running = np.arange(paths)
    for begun in range(0, MOST_BLOCKS, _CHUNK):
        failed = rng.random((len(running), _CHUNK, 2)) < (rate, target)
        code = 2 * failed[..., 0] + failed[..., 1]
        history = counts[:, None, :] + np.cumsum(code[..., None] == np.arange(4), axis=1)
        hit = compute_two_sided_e(history, pair) >= compute_threshold(contrasts)
        decided = hit.any(axis=1)
        times[running[decided]] = begun + 1 + hit[decided].argmax(axis=1)
        running, counts = running[~decided], history[~decided, -1]
        if len(running) <= (1 - share) * paths:
            return [int(time) for time in times]
    raise _is_too_small(rate, target)


def _is_too_small(rate: float, target: float) -> RateError:
    return RateError(f"{rate} against {target} is not decided within {MOST_BLOCKS} blocks per cell")


def _growth(rate: float, target: float) -> float:
    """Mean log e-value of a block if these rates are known and true: no e-process grows faster."""
    passes, target_passes = 1 - rate, 1 - target
    chances = (passes * target_passes, passes * target, rate * target_passes, rate * target)
    factors = compute_block_factors(rate, target)
    return sum(c * math.log(f) for c, f in zip(chances, factors, strict=True) if c)


def compute_two_sided_e(
    counts: "NDArray[np.int64]", expected: RatePair = EXPECTED_RATES
) -> "Floats":
    """The e-value that decides, of many block counts at once: half of the larger one-sided one."""
    import numpy as np

    exchanged = counts[..., [0, 2, 1, 3]]
    return (
        np.maximum(compute_one_sided_e(counts, expected), compute_one_sided_e(exchanged, expected))
        / 2
    )


def compute_one_sided_e(
    counts: "NDArray[np.int64]", expected: RatePair = EXPECTED_RATES
) -> "Floats":
    """E-values for "the arm fails more often": the mixture of products of `compute_block_factors`.

    The last axis counts blocks by what failed: neither, reference, arm, both. A test martingale's
    value under equal rates, hence P(ever >= 1/alpha) <= alpha (Ville 1939).
    """
    import numpy as np

    total = np.zeros(counts.shape[:-1])
    for weight, rate, reference in list_alternatives(expected):
        factors = np.array(compute_block_factors(rate, reference))
        logs = np.log(np.where(factors > 0, factors, 1e-300))
        total += weight * np.exp(np.minimum(counts @ logs, 700.0))
    return total


def compute_device_hours(attempts: float, seconds: float, devices: int = 1) -> float:
    """Hours of device time for so many attempts of a known duration on so many devices each."""
    if not (attempts >= 0 and seconds >= 0 and devices >= 1):
        raise RateError(f"{attempts} attempts of {seconds} s on {devices} devices cannot be")
    return attempts * seconds * devices / 3600


def list_shortfalls(question: Question, repeats: int) -> list[str]:
    """Return why a budget of so many attempts per cell cannot be expected to answer.

    A contrast needs 80 % power for the pair of rates it was planned for, a rate gate the clean
    attempts that prove it.
    """
    found = []
    if question.contrasts and (needed := attempts_needed_for_contrasts(question)) > repeats:
        found.append(describe_too_few_to_compare(question, repeats, needed))
    if question.gate and (needed := attempts_needed_for_gate(question)) > repeats:
        found.append(describe_too_few_to_prove(question.gate, repeats, needed))
    return found


def attempts_needed_for_gate(question: Question) -> int:
    """Return the clean attempts per cell that prove the question's rate."""
    assert question.gate is not None
    if not question.until_decided:
        return attempts_needed_below(question.gate)
    log_e = compute_log_e if question.rule.version < 2 else compute_log_e_below
    return attempts_needed_below_anytime(question.gate, log_e=log_e)


def attempts_needed_for_contrasts(question: Question) -> int:
    """Return the attempts per cell that decide every contrast with 80 % power."""
    high, low = max(question.expected_rates), min(question.expected_rates)
    m = len(question.contrasts)
    if not question.until_decided:
        return attempts_needed_fixed(high, low, alpha=ALPHA / m).n
    if question.rule.version < 2:
        return simulate_budget(high, low, contrasts=m, expected=question.expected_rates).cap
    needed = [
        attempts_needed_against_rest(
            RestDesign(question.expected_rates, question.rule.alternative, m / ALPHA), rest
        )
        for rest in {len(one.rest) for one in question.contrasts if one.rest}
    ]
    if any(not one.rest for one in question.contrasts):
        alternative = question.rule.alternative
        needed.append(attempts_needed_until_decided(high, low, 0.8, m, alternative).cap)
    return max(needed)
