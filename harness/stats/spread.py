"""How unevenly failures are spread over the levels of a factor. Pure.

For few levels the squared distances from what each level's cells expect, over their variances. For
many levels of few attempts each (zygotes) a mixture: each level fails three quarters more often, or
less often, than its cells do, either with probability 1/2. Its likelihood ratio finds a factor of
which half the levels are bad about as well as knowledge of both rates would; like Tarone's
statistic (1979) it asks for variance between levels and not for one level's rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

#: From so many levels on the mixture is used.
MANY_LEVELS = 9
#: How much more, or less, often a level of the mixture fails.
CONTRAST = 0.75
_LEAST_VARIANCE = 0.5
#: How many times as often one level may fail as its cells do, each as likely.
OUTLIERS = (1 / 3, 3.0, 6.0)


@dataclass(frozen=True, slots=True)
class CellRates:
    """Each attempt's expected rate, its cell's, and what the mixture makes of it.

    `logs`: log likelihood ratios of a failure and a pass, at the higher rate and at the lower.
    """

    expected: "Floats"
    logs: "tuple[tuple[Floats, Floats], tuple[Floats, Floats]]"

    @staticmethod
    def count(failed: "Integers", cells: "Integers") -> "CellRates":
        """Return the rates of attempts of these cells."""
        import numpy as np

        expected = (np.bincount(cells, failed) / np.maximum(np.bincount(cells), 1))[cells]
        return CellRates(expected, compute_mixture_logs(expected))


def compute_mixture_logs(
    rates: "Floats",
) -> "tuple[tuple[Floats, Floats], tuple[Floats, Floats]]":
    """Return log likelihood ratios of failure and pass, at the higher rate and at the lower."""
    import numpy as np

    step = CONTRAST * np.minimum(rates, 1 - rates)
    # A cell that never, or always, failed tells nothing: no step, a ratio of 1.
    inside = np.clip(rates, 1e-12, 1 - 1e-12)
    return tuple(
        (np.log((inside + move) / inside), np.log((1 - inside - move) / (1 - inside)))
        for move in (step, -step)
    )  # type: ignore[return-value]


def mix(higher: "Floats", lower: "Floats") -> "Floats":
    """Return the statistic of levels, the last axis, from their log ratios at both rates."""
    import numpy as np

    # A level without attempts adds nothing, so that replays with more levels compare.
    mixed: Floats = (np.logaddexp(higher, lower) - np.log(2)).sum(axis=-1)
    return mixed


def measure_spread(rates: CellRates, failed: "Integers", levels: "Integers") -> "Floats":
    """Return the statistic of each row: which of its attempts failed, and each one's level."""
    import numpy as np

    count = int(levels.max(initial=0)) + 1
    rows, attempts = failed.shape

    def add(values: "Floats") -> "Floats":
        return _add_by_level(np.broadcast_to(values, (rows, attempts)), levels, count)

    if count >= MANY_LEVELS:
        higher, lower = (add(np.where(failed, *logs)) for logs in rates.logs)
        return mix(higher, lower)
    variances = add(rates.expected * (1 - rates.expected)) + _LEAST_VARIANCE
    found: Floats = (add(failed - rates.expected) ** 2 / variances).sum(axis=1)
    return found


def measure_outlier(rates: CellRates, failed: "Integers", levels: "Integers") -> "Floats":
    """Return for each row the log likelihood ratio of "one level fails more, or less, often".

    Failures of a level as a Poisson count, over each level and each of OUTLIERS alike. Unlike the
    squared distance it finds a device that has failed three times in five attempts.
    """
    import numpy as np

    count = int(levels.max(initial=0)) + 1
    k, expected = (
        _add_by_level(values, levels, count)
        for values in (failed, np.broadcast_to(rates.expected, failed.shape))
    )
    logs = [k * np.log(times) - expected * (times - 1) for times in OUTLIERS]
    found: Floats = np.logaddexp.reduce(np.concatenate(logs, axis=1), axis=1)
    return found


def _add_by_level(values: "Floats | Integers", levels: "Integers", count: int) -> "Floats":
    """Return the sums of each row's values over its attempts of each level."""
    import numpy as np

    rows = len(values)
    levels = np.broadcast_to(levels, values.shape)
    place = (levels + count * np.arange(rows)[:, None]).reshape(-1)
    sums: Floats = np.bincount(place, values.reshape(-1), minlength=rows * count).astype(np.float64)
    return sums.reshape(rows, count)


def compute_unit_p(
    failed: Sequence[bool], cells: Sequence[int], units: Sequence[int], levels: Sequence[int]
) -> float:
    """Return the p-value that whole units, each of one level, are spread over levels by chance.

    A permutation of units (zygotes) over the levels (devices): what an effect of the units alone
    would do as often is no evidence for the levels. 1,999 seeded draws.
    """
    import numpy as np

    outcomes, of = np.asarray(failed, dtype=np.int64), np.asarray(units)
    rates = CellRates.count(outcomes, np.asarray(cells)).expected
    gaps, variances = (
        np.bincount(of, each).astype(np.float64) for each in (outcomes - rates, rates * (1 - rates))
    )
    level = np.zeros(len(gaps), dtype=np.int64)
    level[of] = np.asarray(levels)
    rng = np.random.default_rng(0)
    rows = np.vstack([level, rng.permuted(np.tile(level, (1999, 1)), axis=1)])
    place = (rows + (level.max() + 1) * np.arange(len(rows))[:, None]).reshape(-1)

    def add(values: "Floats") -> "Floats":
        sums: Floats = np.bincount(place, np.tile(values, len(rows))).astype(np.float64)
        return sums.reshape(len(rows), -1)

    drawn = (add(gaps) ** 2 / (add(variances) + _LEAST_VARIANCE)).sum(axis=1)
    return float((drawn >= drawn[0] - 1e-9).mean())
