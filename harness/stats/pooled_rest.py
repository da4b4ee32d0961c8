"""Which of several cells fails more often than the others? Each against the pooled rest. Pure.

A block is one attempt of every cell that is still in the comparison. For each cell the e-process of
`sequential` takes the cell as one arm and all others as the other (Turner, Ly and Grünwald 2024,
blocks of 1 and m attempts). Its expectation is at most 1 whenever the cell's rate is at most the
mean of the others', equal or not: a product of linear factors is largest where they are equal. A
cell is named once its e-value reaches m/0.05 for m planned comparisons; from then on it is left out
of the others' rest and needs no further attempt.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.core.decision_rule import Alternative
from harness.stats.distributions import compute_binomial_pmf
from harness.stats.sequential import Outcome, RatePair, list_alternatives

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: A cell is given up once so few failures are this improbable at the planned rate, and sooner once
#: another cell was named. Nothing counts on it: it can only lose power.
GIVEN_UP, GIVEN_UP_BESIDE_NAMED = 0.002, 0.05


@dataclass(frozen=True, slots=True)
class RestDesign:
    """What every cell of a group is compared for: planned rates, direction, deciding e-value."""

    expected: RatePair
    alternative: Alternative
    limit: float


@dataclass(slots=True)
class _Cell:
    """One cell's evidence over completed blocks, and its attempts that wait for their block."""

    waiting: deque[Outcome]
    logs: "Floats"
    valid_logs: "Floats"
    highest: float = 1.0
    highest_valid: float = 1.0
    named_after: int | None = None
    most_failed: int = 0
    counts: tuple[int, int, int, int] = (0, 0, 0, 0)


class PooledRest:
    """The comparison of every cell of a group with the others, block by block."""

    def __init__(self, names: Sequence[str], design: RestDesign) -> None:
        import numpy as np

        self._design = design
        self._weights = np.array([w for w, _, _ in list_alternatives(design.expected)])
        zeros = np.zeros(len(self._weights))
        self._cells = {name: _Cell(deque(), zeros, zeros) for name in names}
        self.blocks = 0

    @property
    def active(self) -> list[str]:
        """Cells that further blocks need."""
        return [name for name, cell in self._cells.items() if cell.named_after is None]

    @property
    def named(self) -> dict[str, int]:
        """Cells that were named, and after how many blocks."""
        found = {name: cell.named_after for name, cell in self._cells.items()}
        return {name: blocks for name, blocks in found.items() if blocks is not None}

    def add(self, name: str, outcome: Outcome) -> None:
        """Take a cell's next attempt, in lease order; a block counts once it is complete."""
        if self._cells[name].named_after is None:
            self._cells[name].waiting.append(outcome)
        while len(self.active) > 1 and all(self._cells[name].waiting for name in self.active):
            self._count_block()

    def get_e(self, name: str) -> tuple[float, float]:
        """Return a cell's largest e-value so far: on valid attempts, and in the worst case."""
        return self._cells[name].highest_valid, self._cells[name].highest

    def count(self, name: str) -> tuple[int, int, int, int]:
        """Return failures and valid attempts of the cell, and of its rest, until it was named."""
        return self._cells[name].counts

    def list_open(self, remaining: Mapping[str, int]) -> list[str]:
        """Return the cells that further attempts may still name.

        `remaining`: attempts of each cell that the plan still holds.
        """
        active = self.active
        if len(active) < 2:
            return []
        left = min(len(self._cells[name].waiting) + remaining[name] for name in active)
        hopeful = [name for name in active if not self._is_hopeless(name)]
        return [name for name in hopeful if self._can_be_named(name, left)]

    def _count_block(self) -> None:
        active = self.active
        block = {name: self._cells[name].waiting.popleft() for name in active}
        self.blocks += 1
        for name in active:
            self._weigh(name, block)
        for name in active:
            if self._cells[name].highest >= self._design.limit:
                self._cells[name].named_after = self.blocks

    def _weigh(self, name: str, block: Mapping[str, Outcome]) -> None:
        """Add a block to one cell's evidence, infrastructure counted against it."""
        cell, own = self._cells[name], block[name]
        rest = [outcome for other, outcome in block.items() if other != name]
        more = self._design.alternative is not Alternative.LESS
        fails = own if own is not None else not more
        failed = sum(o if o is not None else more for o in rest)
        factors = tabulate_factors(self._design.expected, self._design.alternative, len(rest))
        cell.most_failed += own is not False
        cell.logs = cell.logs + _take(factors, fails, failed, len(rest) - failed)
        cell.highest = max(cell.highest, self._mix(cell.logs))
        valid = [o for o in rest if o is not None]
        if own is not None and valid:
            few = tabulate_factors(self._design.expected, self._design.alternative, len(valid))
            failed = sum(valid)
            cell.valid_logs = cell.valid_logs + _take(few, own, failed, len(valid) - failed)
            cell.highest_valid = max(cell.highest_valid, self._mix(cell.valid_logs))
        added = bool(own), own is not None, sum(valid), len(valid)
        cell.counts = tuple(a + b for a, b in zip(cell.counts, added, strict=True))  # type: ignore[assignment]

    def _mix(self, logs: "Floats") -> float:
        import numpy as np

        return float(self._weights @ np.exp(np.minimum(logs, 690.0)))

    def _can_be_named(self, name: str, left: int) -> bool:
        """Whether the most extreme future reaches the limit."""
        rest = len(self.active) - 1
        factors = tabulate_factors(self._design.expected, self._design.alternative, rest)
        more = self._design.alternative is not Alternative.LESS
        best = _take(factors, more, 0 if more else rest, rest if more else 0)
        return self._mix(self._cells[name].logs + left * best) >= self._design.limit

    def _is_hopeless(self, name: str) -> bool:
        if self._design.alternative is Alternative.LESS:
            return False
        failed = self._cells[name].most_failed
        enough = GIVEN_UP_BESIDE_NAMED if self.named else GIVEN_UP
        return _find_tail(self.blocks, max(self._design.expected), failed) <= enough


def _take(factors: "Floats", fails: bool, failed: int, passed: int) -> "Floats":
    found: Floats = factors[0 if fails else 1] + failed * factors[2] + passed * factors[3]
    return found


@lru_cache(maxsize=256)
def tabulate_factors(expected: RatePair, alternative: Alternative, rest: int) -> "Floats":
    """Return the log factors of each alternative: the cell fails, passes; one of the rest does."""
    import numpy as np

    pairs = [(rate, other) for _, rate, other in list_alternatives(expected)]
    if alternative is Alternative.LESS:
        pairs = [pair[::-1] for pair in pairs]
    rates, others = np.array(pairs).T
    mean = (rates + rest * others) / (rest + 1)
    factors = rates / mean, (1 - rates) / (1 - mean), others / mean, (1 - others) / (1 - mean)
    logs: Floats = np.log(np.maximum(factors, 1e-300))
    return logs


@lru_cache(maxsize=4096)
def _find_tail(attempts: int, rate: float, failed: int) -> float:
    """Return the chance of at most so many failures."""
    return float(compute_binomial_pmf(attempts, [rate])[0, : failed + 1].sum())


@lru_cache(maxsize=64)
def attempts_needed_against_rest(
    design: RestDesign, rest: int, wanted: float = 0.8, paths: int = 2000, most: int = 5000
) -> int:
    """Return the blocks that name the one cell of the planned rate with the wanted power.

    The rest have the other rate. Simulated with so many seeded runs; `most` if that is too few.
    """
    import numpy as np

    high, low = max(design.expected), min(design.expected)
    rates = (low, high) if design.alternative is Alternative.LESS else (high, low)
    factors = tabulate_factors(design.expected, design.alternative, rest)
    weights = np.array([w for w, _, _ in list_alternatives(design.expected)])
    rng, logs, blocks = np.random.default_rng(0), np.zeros((paths, len(weights))), 0
    decided = np.zeros(paths, dtype=bool)
    while decided.mean() < wanted and blocks < most:
        fails, failed = rng.random(paths) < rates[0], rng.binomial(rest, rates[1], paths)
        logs += np.where(fails[:, None], factors[0], factors[1])
        logs += failed[:, None] * factors[2] + (rest - failed)[:, None] * factors[3]
        decided |= np.exp(np.minimum(logs, 690.0)) @ weights >= design.limit
        blocks += 1
    return blocks
