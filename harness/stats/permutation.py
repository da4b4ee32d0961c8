"""Tests conditional on the design: which levels the failures fell on, given strata. Pure."""

from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.stats.distributions import compute_hypergeometric_pmf, list_log_choose
from harness.stats.intervals import CountError
from harness.stats.spread import MANY_LEVELS, compute_mixture_logs, mix

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

#: Permutations drawn where the conditional distribution is not summed exactly.
DRAWS = 2999
#: A first run of so many, which is final where its p exceeds PLAIN: what is reported at or below
#: PLAIN always rests on all draws, hence stays a valid p-value.
FIRST_DRAWS, PLAIN = 499, 0.2


def compute_association_p(
    failed: Sequence[bool],
    levels: Sequence[Hashable],
    strata: Sequence[Hashable],
    ordered: bool = False,
    seed: int = 0,
) -> float | None:
    """P-value that failures are spread over the levels by chance, within strata.

    Conditional on every stratum's attempts per level and failures: the exact sum of
    hypergeometrics for two levels, else DRAWS seeded permutations with the generalised
    Cochran-Mantel-Haenszel statistic (Landis, Heyman and Koch 1978), `ordered` against a linear
    trend; from MANY_LEVELS levels on with the mixture of `spread`. Assumes that attempts of one
    stratum are exchangeable. None where the level never varies inside a stratum that has both
    failures and passes.
    """
    if not len(failed) == len(levels) == len(strata):
        raise CountError("failures, levels and strata differ in length")
    attempts, failures = _tables(failed, levels, strata)
    keep = (failures.sum(axis=1) > 0) & (failures.sum(axis=1) < attempts.sum(axis=1))
    keep &= (attempts > 0).sum(axis=1) > 1
    attempts, failures = attempts[keep], failures[keep]
    if not len(attempts):
        return None
    if attempts.shape[1] == 2:
        return _exact(attempts, failures)
    return _permute(attempts, failures, ordered, seed)


def _tables(
    failed: Sequence[bool], levels: Sequence[Hashable], strata: Sequence[Hashable]
) -> tuple["Counts", "Counts"]:
    """Attempts and failures, strata by levels; ordered levels must sort, others need not."""
    import numpy as np

    row = {stratum: i for i, stratum in enumerate(dict.fromkeys(strata))}
    column = {level: i for i, level in enumerate(_sort_in_order(levels))}
    rows, columns = [row[s] for s in strata], [column[v] for v in levels]
    attempts = np.zeros((len(row), len(column)), dtype=np.int64)
    failures = np.zeros_like(attempts)
    np.add.at(attempts, (rows, columns), 1)
    np.add.at(failures, (rows, columns), np.asarray(failed, dtype=np.int64))
    return attempts, failures


def _sort_in_order(levels: Sequence[Hashable]) -> list[Hashable]:
    distinct = dict.fromkeys(levels)
    if all(isinstance(level, int) for level in distinct):
        # mypy does not carry what `all` found out over to the elements.
        return sorted(distinct)  # type: ignore[type-var]
    return list(distinct)


def _exact(attempts: "Counts", failures: "Counts") -> float:
    """Two-sided: the chance of a first level's count at least as far from its mean."""
    import numpy as np

    distribution = np.ones(1)
    mean, offset = 0.0, 0
    for (first, second), k in zip(attempts, failures.sum(axis=1), strict=True):
        low, pmf = compute_hypergeometric_pmf(int(first), int(second), int(k))
        distribution = np.convolve(distribution, pmf)
        mean += k * first / (first + second)
        offset += low
    away = np.abs(np.arange(len(distribution)) + offset - mean)
    seen = abs(failures[:, 0].sum() - mean)
    return float(min(1.0, distribution[away >= seen - 1e-9].sum()))


def _permute(attempts: "Counts", failures: "Counts", ordered: bool, seed: int) -> float:
    """Draw few permutations if there is plainly no association, else all of them."""
    import numpy as np

    rng = np.random.default_rng(seed)
    many = attempts.shape[1] >= MANY_LEVELS and not ordered
    statistic = _Mixture(attempts, failures) if many else _Distance(attempts, failures, ordered)
    seen = statistic.measure(failures[:, None])[0]
    p = 1.0
    for draws in (FIRST_DRAWS, DRAWS):
        drawn = (
            rng.multivariate_hypergeometric(row, total, size=draws, method="marginals")
            for row, total in zip(attempts, failures.sum(axis=1), strict=True)
        )
        p = float((1 + (statistic.measure(drawn) >= seen - 1e-9).sum()) / (draws + 1))
        if p > PLAIN:
            break
    return p


class _Distance:
    """The generalised Cochran-Mantel-Haenszel statistic, or its linear trend."""

    def __init__(self, attempts: "Counts", failures: "Counts", ordered: bool) -> None:
        covariance, self._mean = _moments(attempts, failures)
        self._weights = _weights(covariance, ordered)

    def measure(self, drawn: Iterable["Counts"]) -> "Floats":
        """Return the statistic of each draw; `drawn` gives, by stratum, failures per level."""
        return _distance(sum(drawn) - self._mean, self._weights)


class _Mixture:
    """The likelihood ratio of `spread`: half of the levels fail more often, half less."""

    def __init__(self, attempts: "Counts", failures: "Counts") -> None:
        self._attempts = attempts
        self._logs = compute_mixture_logs(failures.sum(axis=1) / attempts.sum(axis=1))

    def measure(self, drawn: Iterable["Counts"]) -> "Floats":
        """Return the statistic of each draw; `drawn` gives, by stratum, failures per level."""
        import numpy as np

        higher = lower = np.zeros(1)
        (up, up_pass), (down, down_pass) = self._logs
        for i, (row, failed) in enumerate(zip(self._attempts, drawn, strict=True)):
            higher = higher + failed * (up[i] - up_pass[i]) + row * up_pass[i]
            lower = lower + failed * (down[i] - down_pass[i]) + row * down_pass[i]
        return mix(higher, lower)


def _moments(attempts: "Counts", failures: "Counts") -> tuple["Floats", "Floats"]:
    """Covariance and mean of the failures per level under permutation, summed over strata."""
    import numpy as np

    k, n = failures.sum(axis=1), attempts.sum(axis=1)
    share = attempts / n[:, None]
    spread = k * (n - k) / (n - 1)
    covariance = np.diag((spread[:, None] * share).sum(axis=0)) - (share.T * spread) @ share
    return covariance, (k[:, None] * share).sum(axis=0)


def _weights(covariance: "Floats", ordered: bool) -> "Floats":
    """Columns w such that the statistic is the sum of squared projections on them."""
    import numpy as np

    if ordered:
        return np.arange(float(len(covariance)))[:, None]
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-9 * values.max()
    scaled: Floats = vectors[:, kept] / np.sqrt(values[kept])
    return scaled


def _distance(gaps: "Floats", weights: "Floats") -> "Floats":
    distance: Floats = ((gaps @ weights) ** 2).sum(axis=1)
    return distance


def compute_runs_p(failed: Sequence[bool]) -> float | None:
    """P-value that failures are in random order: Wald and Wolfowitz's runs test (1940), exact.

    Two-sided (twice the smaller tail), conditional on the number of failures; give the attempts
    of one cell in lease order. None where all or none failed: no order to see.
    """
    tails = _find_run_tails(failed)
    return None if tails is None else min(1.0, 2 * min(tails))


def compute_clustering_p(failed: Sequence[bool]) -> float | None:
    """P-value that failures do not come in clusters: `compute_runs_p` with its lower tail alone."""
    tails = _find_run_tails(failed)
    return None if tails is None else min(1.0, tails[0])


def compute_tail_of_runs(failed: int, valid: int, runs: int) -> float:
    """Return the chance of at most so many runs of so many failures among the valid attempts."""
    return min(1.0, float(_list_run_chances(failed, valid - failed)[: runs + 1].sum()))


def _find_run_tails(failed: Sequence[bool]) -> tuple[float, float] | None:
    """Return the chances of so few runs, and of so many; None if all or none failed."""
    k, n = sum(failed), len(failed)
    if k in (0, n):
        return None
    runs = 1 + sum(a != b for a, b in pairwise(failed))
    chances = _list_run_chances(k, n - k)
    return float(chances[: runs + 1].sum()), float(chances[runs:].sum())


def _list_run_chances(k: int, passed: int) -> "Floats":
    """Return the probability of each number of runs, from 0, of k failures among the passes."""
    import numpy as np

    half = np.arange(1, min(k, passed) + 1)
    left, right = (np.append(list_log_choose(of - 1), [-np.inf] * 2) for of in (k, passed))
    ways = float(list_log_choose(k + passed)[k])
    chances = np.zeros(2 * len(half) + 2)
    chances[2 * half] = 2 * np.exp(left[half - 1] + right[half - 1] - ways)
    chances[2 * half + 1] = np.exp(left[half - 1] + right[half] - ways)
    chances[2 * half + 1] += np.exp(left[half] + right[half - 1] - ways)
    return chances
