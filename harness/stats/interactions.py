"""Do two axes act together? Pure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.stats.distributions import compute_chi_square_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def compute_additivity_p(
    failed: Sequence[bool], one: Sequence[int], other: Sequence[int]
) -> float | None:
    """Return the p-value that the rates of two axes' combinations are sums of one part of each.

    Weighted least squares on the rates of all combinations, with variances of (k + 1/2)/(n + 1), so
    that a combination that never fails has one (Grizzle, Starmer and Koch 1969); the rest is
    chi-square. Two causes of few failures, each with its own axis, add; a fault that needs both
    values does not. None if too few combinations were measured to tell.
    """
    import numpy as np

    shape = max(one) + 1, max(other) + 1
    attempts, failures = np.zeros(shape), np.zeros(shape)
    np.add.at(attempts, (one, other), 1)
    np.add.at(failures, (one, other), np.asarray(failed, dtype=np.float64))
    rows, columns = np.nonzero(attempts)
    design = np.hstack([np.eye(shape[0])[rows], np.eye(shape[1])[columns]])
    freedom = len(rows) - int(np.linalg.matrix_rank(design))
    if freedom < 1:
        return None
    n, k = attempts[rows, columns], failures[rows, columns]
    smooth = (k + 0.5) / (n + 1)
    weights = np.sqrt(n / (smooth * (1 - smooth)))
    rates = weights * k / n
    fitted, *_ = np.linalg.lstsq(weights[:, None] * design, rates, rcond=None)
    left: Floats = rates - weights * (design @ fitted)
    return compute_chi_square_tail(freedom, float(left @ left))
