"""The e-process of two cells, block by block, in both directions. Pure."""

from typing import TYPE_CHECKING

from harness.core.decision_rule import Alternative
from harness.stats.sequential import Outcome, RatePair, compute_block_factors, list_alternatives

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Place of the block in which only the failing cell failed, among the factors.
ONLY_ARM = 2


class PairEvidence:
    """What blocks of one attempt per cell say, infrastructure counted against each direction."""

    def __init__(self, expected: RatePair) -> None:
        import numpy as np

        alternatives = list_alternatives(expected)
        self._weights = np.array([weight for weight, _, _ in alternatives])
        with np.errstate(divide="ignore"):
            factors = np.log([compute_block_factors(r, q) for _, r, q in alternatives]).T
        self.factors: Floats = np.maximum(factors, -1e30)
        self.logs = [np.zeros(len(self._weights)), np.zeros(len(self._weights))]
        self.highest = [1.0, 1.0]
        self.blocks = 0
        # Failures of arm and reference, infrastructure against "more often", then against "less".
        self.failed = (0, 0, 0, 0)

    def add(self, arm: Outcome, reference: Outcome) -> None:
        """Take the next block."""
        low, other_high = arm is True, reference is not False
        high, other_low = arm is not False, reference is True
        for i, code in enumerate((2 * low + other_high, 2 * other_low + high)):
            self.logs[i] = self.logs[i] + self.factors[code]
            self.highest[i] = max(self.highest[i], self.mix(self.logs[i]))
        counts = (low, other_high, high, other_low)
        self.failed = tuple(a + b for a, b in zip(self.failed, counts, strict=True))  # type: ignore[assignment]
        self.blocks += 1

    def mix(self, logs: "Floats") -> float:
        """Return the e-value of these log factors, one per alternative."""
        import numpy as np

        return float(self._weights @ np.exp(np.minimum(logs, 690.0)))

    def get_e(self, alternative: Alternative) -> float:
        """Return the largest e-value so far for this alternative."""
        return combine((self.highest[0], self.highest[1]), alternative)


def combine(highest: tuple[float, float], alternative: Alternative) -> float:
    """Return the e-value of an alternative from those of "more often" and "less often"."""
    up, down = highest
    if alternative is Alternative.TWO_SIDED:
        return max(up, down) / 2
    return up if alternative is Alternative.MORE else down
