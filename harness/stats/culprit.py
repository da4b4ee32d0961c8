"""Which commit raised a failure rate? A posterior over commits, with both rates unknown. Pure.

As git-bayesect does: each hypothesis "the change came with commit c" is weighed by the likelihood
of all attempts, with the rates before and after integrated out under Jeffreys' prior. Here the rate
after is known to be the larger one, since the user named a good and a bad end.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.intervals import CountError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: The commit is named once its probability reaches this.
ENOUGH = 0.95

_GRID = 160


@dataclass(frozen=True, slots=True)
class Tally:
    """Valid attempts of one commit."""

    failed: int = 0
    passed: int = 0


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is known of each commit, the oldest first; the first is good and no candidate.

    chances: that the change came with it. before, after: expected failure rates on both sides if
    it did.
    """

    chances: "Floats"
    before: "Floats"
    after: "Floats"

    @property
    def best(self) -> int:
        """The likeliest commit."""
        return int(self.chances.argmax())

    @property
    def entropy(self) -> float:
        """What is unknown, in bits."""
        return _measure_entropy(self.chances)


def weigh_commits(tallies: Sequence[Tally]) -> Beliefs:
    """Return the posterior over the commits after the first, all equally likely beforehand.

    Jeffreys' prior on both rates, the later one larger, on a grid in which it is uniform. Raises
    CountError for fewer than two commits.
    """
    import numpy as np

    if len(tallies) < 2:
        raise CountError(f"{len(tallies)} commits: a good and a bad one are needed")
    # A rate of sin(angle)^2 has Jeffreys' prior if the angle is uniform.
    rates = np.sin((np.arange(_GRID) + 0.5) / _GRID * np.pi / 2) ** 2
    each = np.array([(t.failed, t.passed) for t in tallies]) @ np.log([rates, 1 - rates])
    left = np.cumsum(each, axis=0)[:-1]
    right = each.sum(axis=0) - left
    scale = left.max(axis=1) + right.max(axis=1)
    low = np.exp(left - left.max(axis=1, keepdims=True))
    high = np.exp(right - right.max(axis=1, keepdims=True))
    below = np.cumsum(low, axis=1) - low / 2
    above = high.sum(axis=1, keepdims=True) - np.cumsum(high, axis=1) + high / 2
    weight = (below * high).sum(axis=1)
    logs = scale + np.log(weight)
    chances = np.exp(logs - logs.max())
    return Beliefs(
        np.append(0.0, chances / chances.sum()),
        np.append(0.0, (above * low) @ rates / weight),
        np.append(0.0, (below * high) @ rates / weight),
    )


def choose_commit(beliefs: Beliefs, skipped: Collection[int] = ()) -> int | None:
    """Return the commit whose next attempt is expected to leave the least entropy.

    None if no commit that can be measured is left. `skipped`: commits that could not be built.
    """
    import numpy as np

    count = len(beliefs.chances)
    later = np.arange(count)[:, None] >= np.arange(count)[None, :]
    fails = np.where(later, beliefs.after, beliefs.before)
    remaining = np.zeros(count)
    for chance in (fails, 1 - fails):
        joint = chance * beliefs.chances
        total = joint.sum(axis=1)
        shares = joint / np.maximum(total, 1e-300)[:, None]
        remaining += total * -(shares * np.log2(np.maximum(shares, 1e-300))).sum(axis=1)
    remaining[list(skipped)] = np.inf
    best = int(remaining.argmin())
    return best if np.isfinite(remaining[best]) else None


def _measure_entropy(chances: "Floats") -> float:
    import numpy as np

    return float(-(chances * np.log2(np.maximum(chances, 1e-300))).sum())
