"""Which of hundreds of tests differ between two cells? Exploratory. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from harness.stats.contrasts import ALPHA
from harness.stats.exact_tests import compute_boschloo_p, compute_fisher_p

#: Up to so many attempts per cell Boschloo's p takes milliseconds.
EXACT_LIMIT = 100

#: Counts of one test: failures and outcomes in one cell, then in the other.
Counts = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class ManyTests:
    """Which tests differ, by their index, with adjusted p; and how many could have been found."""

    differ: dict[int, float]
    testable: int


def find_differing(tests: Sequence[Counts], rate: float = ALPHA) -> ManyTests:
    """Return the tests that differ, of which at most `rate` are false on average.

    Benjamini and Hochberg (1995) over testable tests alone (Tarone 1990; Gilbert 2005): a test that
    failed so seldom that even the most extreme table of its margins is no evidence can neither be
    found nor found falsely, so that it need not be corrected for. Which are testable depends on the
    margins only. p as `compare_rates` has it up to EXACT_LIMIT attempts, Fisher's above. Assumes
    tests that are independent or fail together, and numbers fixed in advance.
    """
    kept = sorted(
        (_compute_p(*test), i) for i, test in enumerate(tests) if _is_testable(test, rate)
    )
    adjusted, lowest = {}, 1.0
    for position in range(len(kept), 0, -1):
        p, index = kept[position - 1]
        lowest = min(lowest, p * len(kept) / position)
        adjusted[index] = lowest
    found = {index: p for index, p in adjusted.items() if p <= rate}
    return ManyTests(dict(sorted(found.items(), key=lambda item: item[1])), len(kept))


def _is_testable(test: Counts, rate: float) -> bool:
    """Whether the most extreme table of these margins would be evidence by itself."""
    k, n, other_k, other_n = test
    total = k + other_k
    if not n or not other_n or total in (0, n + other_n):
        return False
    most, fewest = min(total, n), max(0, total - other_n)
    extremes = (most, n, total - most, other_n), (fewest, n, total - fewest, other_n)
    return min(_compute_p(*table) for table in extremes) <= rate


@lru_cache(maxsize=4096)
def _compute_p(k: int, n: int, other_k: int, other_n: int) -> float:
    exact = max(n, other_n) <= EXACT_LIMIT
    return (compute_boschloo_p if exact else compute_fisher_p)(k, n, other_k, other_n)
