"""Exactly calibrated boundaries of the e-process for a cap fixed in advance. Pure.

After t blocks of one attempt per cell the e-process depends only on t and on both cells' failures,
(a, b). Dynamic programming over these states gives, without simulation, the chance that e ever
reaches a threshold within the cap: at equal rates the error, at the expected rates the power.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.core.decision_rule import Alternative, DecisionRule
from harness.stats.contrasts import ALPHA
from harness.stats.sequential import RatePair, compute_block_factors, list_alternatives

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

#: Above this cap tables take more than two seconds and 50 MB: e >= m/0.05 decides instead.
LARGEST_CAP = 200
#: A comparison is given up below this chance to be decided, if the expected rates are the truth.
FUTILITY = 0.4
#: Nothing is given up so under a cap whose power for the expected rates is below this.
LEAST_POWER = 0.7

_BISECTIONS = 14
_COMMON_RATES = 400


@dataclass(frozen=True, slots=True)
class Design:
    """A comparison looked at after every block, up to `cap` blocks."""

    cap: int
    expected: RatePair
    alternative: Alternative = Alternative.TWO_SIDED


@dataclass(frozen=True, slots=True)
class Course:
    """How a design ends at given rates: chance of a decision by each block, and of giving up."""

    decided: "Floats"
    given_up: "Floats"

    @property
    def power(self) -> float:
        """The chance of a decision within the cap."""
        return float(self.decided.sum())

    @property
    def mean(self) -> float:
        """Expected blocks."""
        import numpy as np

        ended = self.decided + self.given_up
        return float((ended * np.arange(len(ended))).sum() + (1 - ended.sum()) * (len(ended) - 1))

    def find_quantile(self, share: float) -> int:
        """Return the blocks after which this share of the runs has ended."""
        import numpy as np

        ended = np.cumsum(self.decided + self.given_up)
        return min(int(np.searchsorted(ended, share)), len(ended) - 1)


def choose_rule(design: Design, contrasts: int) -> DecisionRule:
    """Return the rule of a run until decided: calibrated if its tables fit, else e >= m/0.05."""
    if contrasts < 1 or design.cap > LARGEST_CAP:
        return DecisionRule(alternative=design.alternative)
    limit = calibrate_threshold(design, ALPHA / contrasts)
    # A cap too small for the expected rates may still decide a larger difference.
    hopeful = tabulate_chances(design, limit)[0][0, 0] >= LEAST_POWER
    return DecisionRule(
        threshold=limit,
        futility=FUTILITY if hopeful else 0.0,
        alternative=design.alternative,
    )


@lru_cache(maxsize=8)
def tabulate_e(design: Design) -> tuple["Floats", ...]:
    """Return the e-value of every state, one table (arm failures, reference failures) per block."""
    return tuple(_tabulate_block(design, blocks) for blocks in range(design.cap + 1))


def _tabulate_block(design: Design, blocks: int) -> "Floats":
    import numpy as np

    k = np.arange(blocks + 1)
    total = np.zeros((blocks + 1, blocks + 1))
    for weight, rate, reference in list_alternatives(design.expected):
        passes, other_fails, fails, _ = compute_block_factors(rate, reference)
        # One block's factor is the product of one factor per cell.
        other_passes = (1 - reference) / (1 - (rate + reference) / 2)
        arm = np.power(fails / other_passes, k) * np.power(passes / other_passes, blocks - k)
        other = np.power(other_fails * other_passes / passes, k)
        total += weight * np.outer(arm, other * np.power(other_passes, blocks - k))
    if design.alternative is Alternative.MORE:
        return total
    if design.alternative is Alternative.LESS:
        return total.T
    return np.maximum(total, total.T) / 2


def compute_error(design: Design, limit: float) -> float:
    """Return the chance that e ever reaches the limit, at the worst common rate.

    Paths are counted once, weighted as at a rate of 1/2; each crossing state's weight at another
    rate follows from its failures alone.
    """
    import numpy as np

    weights = np.zeros((design.cap + 1, 2 * design.cap + 1))
    for blocks, crossed, mass in _walk(design, limit, (0.5, 0.5)):
        failures = np.add.outer(np.arange(blocks + 1), np.arange(blocks + 1))[crossed]
        counted = np.bincount(failures, mass[crossed], minlength=2 * design.cap + 1)
        weights[blocks] += counted
    return find_worst_rate(weights)


def compute_error_at(tables: "tuple[Floats, ...]", limit: float, difference: float) -> float:
    """Return the chance that tabled e-values reach the limit if the rates differ by so much.

    At the worst pair of rates with this difference, among 60 of them.
    """
    import numpy as np

    found = []
    mass = np.ones((1, 1))
    for blocks in range(1, len(tables)):
        mass = add_block(mass, (0.5, 0.5))
        arm, reference = np.nonzero((tables[blocks] >= limit) & (mass > 0))
        found.append(np.array([np.full(len(arm), blocks), arm, reference, mass[arm, reference]]))
        mass = np.where(tables[blocks] >= limit, 0.0, mass)
    blocks, arm, reference, weight = np.concatenate(found, axis=1)
    span = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, 62)[1:-1])
    low, high = max(0.0, difference), min(1.0, 1.0 + difference)
    rates = (low + (high - low) * span)[:, None]
    logs = np.log(weight) + arm * np.log(2 * rates) + (blocks - arm) * np.log(2 - 2 * rates)
    others = rates - difference
    logs = logs + reference * np.log(2 * others) + (blocks - reference) * np.log(2 - 2 * others)
    return float(np.exp(logs).sum(axis=1).max()) if len(weight) else 0.0


def find_worst_rate(weights: "Floats") -> float:
    """Return the largest chance over common rates; weights are by blocks and failures."""
    import numpy as np

    at, failures = np.nonzero(weights)
    if not len(at):
        return 0.0
    passes = 2 * at - failures
    by_outcome = np.zeros((failures.max() + 1, passes.max() + 1))
    np.add.at(by_outcome, (failures, passes), weights[at, failures])
    fails, passed = (_tabulate_powers(count) for count in by_outcome.shape)
    return float((fails * (by_outcome @ passed[:, ::-1])).sum(axis=0).max())


@lru_cache(maxsize=16)
def _tabulate_powers(count: int) -> "Floats":
    """Return (2 rate)^k for k below the count, over common rates that mirror each other."""
    import numpy as np

    # Dense near 0 and 1, where boundaries of rare failures are crossed most.
    angle = np.linspace(0, np.pi / 2, _COMMON_RATES + 2)[1:-1]
    powers: Floats = np.power(2 * np.sin(angle) ** 2, np.arange(count)[:, None])
    return powers


def _walk(design: Design, limit: float, rates: RatePair) -> Iterator[tuple[int, "Mask", "Floats"]]:
    """Yield after each block which states have just crossed, and the chance of every state.

    Paths end where they cross.
    """
    import numpy as np

    mass = np.ones((1, 1))
    for blocks in range(1, design.cap + 1):
        mass = add_block(mass, rates)
        crossed = tabulate_e(design)[blocks] >= limit
        yield blocks, crossed, mass
        mass = np.where(crossed, 0.0, mass)


def add_block(mass: "Floats", rates: RatePair) -> "Floats":
    """Return the chance of every state (arm failures, reference failures) one block later."""
    import numpy as np

    (p, q), n = rates, len(mass)
    arm = np.zeros((n + 1, n))
    arm[:-1] += (1 - p) * mass
    arm[1:] += p * mass
    both = np.zeros((n + 1, n + 1))
    both[:, :-1] += (1 - q) * arm
    both[:, 1:] += q * arm
    return both


@lru_cache(maxsize=64)
def calibrate_threshold(design: Design, alpha: float) -> float:
    """Return the smallest threshold, to four digits, whose exact error is at most alpha.

    Below 1/alpha, which needs no cap (Ville 1939). The error is the largest over all common rates.
    """
    low, high = 0.1 / alpha, 1 / alpha
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if compute_error(design, middle) <= alpha else (middle, high)
    return float(f"{high:.6g}")


@lru_cache(maxsize=16)
def tabulate_chances(design: Design, limit: float) -> tuple["Floats", ...]:
    """Return each state's chance to reach the limit within the cap, at the expected rates.

    The arm has the larger rate; exchange a table's axes for the other direction.
    """
    import numpy as np

    high, low = max(design.expected), min(design.expected)
    pair = (low, high) if design.alternative is Alternative.LESS else (high, low)
    tables = [(tabulate_e(design)[design.cap] >= limit).astype(np.float64)]
    for blocks in range(design.cap - 1, -1, -1):
        ahead, (p, q) = tables[-1], pair
        arm = (1 - p) * ahead[:-1] + p * ahead[1:]
        both = (1 - q) * arm[:, :-1] + q * arm[:, 1:]
        tables.append(np.where(tabulate_e(design)[blocks] >= limit, 1.0, both))
    return tuple(tables[::-1])


def find_futile(design: Design, rule: DecisionRule, blocks: int) -> "Mask":
    """Return the states after so many blocks in which the comparison is given up."""
    import numpy as np

    assert rule.threshold is not None
    chances = tabulate_chances(design, rule.threshold)[blocks]
    if design.alternative is Alternative.TWO_SIDED:
        chances = np.maximum(chances, chances.T)
    return chances < max(rule.futility, 1e-12)


def follow(design: Design, rule: DecisionRule, rates: RatePair) -> Course:
    """Return how the design ends if these are the cells' rates."""
    import numpy as np

    assert rule.threshold is not None
    decided, given_up = np.zeros(design.cap + 1), np.zeros(design.cap + 1)
    mass = np.ones((1, 1))
    for blocks in range(1, design.cap + 1):
        mass = add_block(mass, rates)
        crossed = tabulate_e(design)[blocks] >= rule.threshold
        decided[blocks] = mass[crossed].sum()
        mass = np.where(crossed, 0.0, mass)
        futile = find_futile(design, rule, blocks)
        given_up[blocks] = mass[futile].sum()
        mass = np.where(futile, 0.0, mass)
    return Course(decided, given_up)
