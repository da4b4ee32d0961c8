"""Two runs compared where runs themselves vary: machines, days and seeds differ. Pure.

Attempts of one run share what that run had; a binomial test between two runs takes that for a
difference. Here each run's rate is drawn from a beta distribution whose mean and spread the
history's runs of the same cell tell: a beta-binomial model, its parameters integrated out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.stats.change_points import RunTally
from harness.stats.contrasts import ALPHA, Contrast, Finding
from harness.stats.exact_tests import compute_boschloo_p
from harness.stats.wording import describe_clean_fix, describe_short_history, describe_varied_runs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Fewer earlier runs of a cell say too little of how runs vary.
FEWEST_RUNS = 3

_MEANS, _SPREADS = 60, 24


@dataclass(frozen=True, slots=True)
class BetweenRuns:
    """p that two runs of one distribution differ so much, and the spread that history shows.

    spread: posterior mean of the correlation of attempts within a run, 0 for none.
    """

    p: float
    spread: float


def compare_between_runs(
    base: RunTally, head: RunTally, history: Sequence[RunTally]
) -> BetweenRuns | None:
    """Return whether two runs differ by more than runs of this cell do; None if history is short.

    Two-sided, posterior predictive: the mean rate (Jeffreys' prior) and the correlation within a
    run (uniform on a log scale from 0.001 to 0.5) are weighed by history and the base.
    """
    import numpy as np

    if len(history) < FEWEST_RUNS:
        return None
    means, spreads = _make_grid()
    logs = np.zeros(len(means))
    for run in (*history, base):
        logs += _log_likelihood(run, means, spreads)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    kept = np.flatnonzero(weights > 1e-4 * weights.max())
    p = sum(weights[i] * _find_tail(base, head, means[i], spreads[i]) for i in kept)
    return BetweenRuns(float(min(1.0, p / weights[kept].sum())), float(weights @ spreads))


def _make_grid() -> tuple["Floats", "Floats"]:
    import numpy as np

    means = np.sin((np.arange(_MEANS) + 0.5) / _MEANS * np.pi / 2) ** 2
    spreads = np.geomspace(0.001, 0.5, _SPREADS)
    return np.repeat(means, _SPREADS), np.tile(spreads, _MEANS)


def _log_likelihood(run: RunTally, means: "Floats", spreads: "Floats") -> "Floats":
    """Return the log chance of a run's attempts in order, for every mean and spread."""
    import numpy as np

    size = 1 / spreads - 1
    a, b = means * size, (1 - means) * size
    total = np.zeros(len(means))
    for count, start in ((run.failed, a), (run.passed, b)):
        total += np.log(start[:, None] + np.arange(count)).sum(axis=1)
    total -= np.log(size[:, None] + np.arange(run.failed + run.passed)).sum(axis=1)
    return total


def _list_chances(attempts: int, mean: float, spread: float) -> "Floats":
    """Return the beta-binomial chance of each number of failures."""
    import numpy as np

    size = 1 / spread - 1
    a, b = mean * size, (1 - mean) * size
    k = np.arange(attempts)
    steps = np.log(attempts - k) - np.log(k + 1) + np.log(a + k) - np.log(b + attempts - k - 1)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    chances = np.exp(logs - logs.max())
    shares: Floats = chances / chances.sum()
    return shares


def _find_tail(base: RunTally, head: RunTally, mean: float, spread: float) -> float:
    """Return the chance that two such runs differ at least so much in rate."""
    import numpy as np

    n, m = base.failed + base.passed, head.failed + head.passed
    gaps = np.abs(np.arange(n + 1)[:, None] / n - np.arange(m + 1)[None, :] / m)
    seen = abs(base.failed / n - head.failed / m)
    joint = np.outer(_list_chances(n, mean, spread), _list_chances(m, mean, spread))
    return float(joint[gaps >= seen - 1e-12].sum())


def judge_between_runs(contrast: Contrast, history: Sequence[RunTally], contrasts: int) -> Contrast:
    """Return a comparison of two runs as it stands once runs are allowed to vary.

    A difference that history cannot judge is no finding; one that runs of this cell show anyway is
    undecided (Bonferroni over the comparisons). If the fix never failed, the outlook says how many
    clean attempts of it are needed.
    """
    found = contrast.comparison
    if found is None:
        return contrast
    if contrast.finding is Finding.UNDECIDED and not found.k:
        needed = attempts_needed_for_fix(found.reference_k, found.reference_n)
        outlook = describe_clean_fix(needed) if needed else contrast.outlook
        return replace(contrast, outlook=outlook)
    if contrast.finding is not Finding.DIFFERENT:
        return contrast
    base = RunTally(found.reference_k, found.reference_n - found.reference_k)
    between = compare_between_runs(base, RunTally(found.k, found.n - found.k), history)
    if between is None:
        reason = describe_short_history(len(history), FEWEST_RUNS)
        return replace(contrast, finding=Finding.CANNOT_SAY, reason=reason)
    p = min(1.0, contrasts * between.p)
    if p > ALPHA:
        outlook = describe_varied_runs(len(history), p)
        return replace(contrast, finding=Finding.UNDECIDED, outlook=outlook)
    return replace(contrast, p_adjusted=max(contrast.p_adjusted, p))


def attempts_needed_for_fix(failed: int, attempts: int) -> int | None:
    """Return the clean attempts of a fix after which Boschloo's test tells it from the base.

    None if no number does: the base never failed, or failed too seldom.
    """

    def suffices(clean: int) -> bool:
        return compute_boschloo_p(failed, attempts, 0, clean) <= ALPHA

    low, high = 0, _bound_clean(attempts)
    if not failed or not suffices(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    # Exact tests are a sawtooth: a slightly smaller number may do.
    return next(n for n in range(max(high * 9 // 10, 1), high + 1) if suffices(n))


def _bound_clean(attempts: int) -> int:
    """Return the largest number of clean attempts that is tried: tables stay below a million."""
    return min(max(1_000_000 // max(attempts, 1), 100), 1000)
