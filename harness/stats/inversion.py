"""The interval of a difference that agrees with the test that decided it. Pure.

For each difference d the e-process of `sequential` is set up against "the rates differ by d"
(Turner and Grünwald 2022, arXiv 2203.09785): a block's factor is the alternative's likelihood over
that of its projection on the rates that differ by d. At d = 0 it is the deciding test itself. The
interval holds the differences that are not rejected.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.core.decision_rule import Alternative
from harness.stats.boundary import Design, compute_error_at
from harness.stats.contrasts import ALPHA
from harness.stats.intervals import Interval
from harness.stats.sequential import list_alternatives

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Up to this cap each difference is tested exactly; above it by e >= 1/alpha, which is wider.
EXACT_CAP = 60
#: The cap of a run that any look may end.
OPEN_ENDED = 1_000_000
METHOD = "inverted e-process"

_BISECTIONS = 10
_INSIDE, _LARGEST_FACTOR, _LARGEST_LOG = 1e-9, 1e3, 600.0
_REFERENCES = (0.0, 0.05, 0.15, 0.35)
_STEPS = (0.05, 0.15, 0.4)


@dataclass(frozen=True, slots=True)
class Atom:
    """One alternative: its weight, and the factors of a failure and a pass in either cell."""

    weight: float
    fails: float
    passes: float
    other_fails: float
    other_passes: float


def invert_test(design: Design, pairs: Sequence[tuple[bool, bool]], decided: bool) -> Interval:
    """Return the 95 % interval of arm minus reference from blocks in lease order.

    Valid at every look within the design's cap. A one-sided design bounds one side only. If the
    comparison was decided, the interval ends at 0 at the latest.
    """
    seen = sum(a - b for a, b in pairs) / len(pairs) if pairs else 0.0

    def rejects(difference: float) -> bool:
        return _is_rejected(design, pairs, difference)

    low = -1.0 if design.alternative is Alternative.LESS else _find_end(rejects, seen, -1.0)
    high = 1.0 if design.alternative is Alternative.MORE else _find_end(rejects, seen, 1.0)
    if decided:
        low, high = (max(low, 0.0), high) if seen > 0 else (low, min(high, 0.0))
    return Interval(low, high, 1 - ALPHA, METHOD)


def _find_end(rejects: Callable[[float], bool], inside: float, outside: float) -> float:
    """Bisect to the end of the kept differences; return the rejected side, which is wider."""
    # At -1 and 1 one cell always fails and the other never does.
    if abs(inside) > 0.999:
        return outside
    low, high = inside, outside * 0.999
    if not rejects(high):
        return outside
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if rejects(middle) else (middle, high)
    return high


def _is_rejected(design: Design, pairs: Sequence[tuple[bool, bool]], difference: float) -> bool:
    e = _find_highest(design, pairs, difference)
    if design.cap > EXACT_CAP:
        return e >= 1 / ALPHA
    if e <= 1:
        return False
    tables = tuple(_tabulate(design, difference))
    return compute_error_at(tables, e * (1 - 1e-9), difference) <= ALPHA


def _find_highest(design: Design, pairs: Sequence[tuple[bool, bool]], difference: float) -> float:
    import numpy as np

    if not pairs:
        return 0.0
    arm, reference = np.array(pairs, dtype=np.int64).T
    t = np.arange(1, len(pairs) + 1)
    a, b = np.cumsum(arm), np.cumsum(reference)

    def follow(atoms: Sequence[Atom]) -> "Floats":
        arm_logs, other_logs, weights = _take_logs(atoms)
        logs = arm_logs.T @ np.array([a, t - a]) + other_logs.T @ np.array([b, t - b])
        found: Floats = weights @ np.exp(np.minimum(logs, _LARGEST_LOG))
        return found

    up, down = (follow(atoms) for atoms in list_atoms(design.expected, difference))
    return float(_combine(design.alternative, up, down).max())


def _take_logs(atoms: Sequence[Atom]) -> tuple["Floats", "Floats", "Floats"]:
    """Return the log factors of failure and pass in the arm, in the reference, and the weights."""
    import numpy as np

    values = np.array(
        [(o.fails, o.passes, o.other_fails, o.other_passes, o.weight) for o in atoms]
    ).reshape(-1, 5)
    logs = np.log(np.maximum(values[:, :4], 1e-30)).T
    return logs[:2], logs[2:], values[:, 4]


def _combine(alternative: Alternative, up: "Floats", down: "Floats") -> "Floats":
    import numpy as np

    if alternative is Alternative.MORE:
        return up
    return down if alternative is Alternative.LESS else np.maximum(up, down) / 2


def _tabulate(design: Design, difference: float) -> "Iterator[Floats]":
    """Yield the e-value of every state, one table per number of blocks up to the cap."""
    import numpy as np

    sides = [_take_logs(atoms) for atoms in list_atoms(design.expected, difference)]
    for blocks in range(design.cap + 1):
        k = np.arange(blocks + 1)
        counts = np.array([k, blocks - k])

        up, down = (_add_up(side, counts) for side in sides)
        yield _combine(design.alternative, up, down)


def _add_up(side: "tuple[Floats, Floats, Floats]", counts: "NDArray[np.int64]") -> "Floats":
    """Return the mixture in every state: log factors of both cells, weights, counts of a cell."""
    import numpy as np

    arm, other = (np.exp(np.minimum(logs.T @ counts, _LARGEST_LOG / 2)) for logs in side[:2])
    found: Floats = (arm.T * side[2]) @ other
    return found


@lru_cache(maxsize=256)
def list_atoms(
    expected: tuple[float, float], difference: float
) -> tuple[tuple[Atom, ...], tuple[Atom, ...]]:
    """Return the alternatives whose difference is larger, and those whose it is smaller.

    Those of the deciding test, and, the more the further from 0, pairs around the difference.
    """
    test = list_alternatives(expected)
    up = [(w, r, q) for w, r, q in test if r - q > difference + 1e-6]
    down = [(w, q, r) for w, r, q in test if q - r < difference - 1e-6]
    return tuple(
        _mix(side, _list_near(difference, sign), difference) for side, sign in ((up, 1), (down, -1))
    )  # type: ignore[return-value]


def _list_near(difference: float, sign: int) -> list[tuple[float, float]]:
    pairs = [
        (reference + difference + sign * step, reference)
        for reference in _REFERENCES
        for step in _STEPS
    ]
    mirrored = [(1 - reference, 1 - rate) for rate, reference in pairs]
    return [(r, q) for r, q in (*pairs, *mirrored) if 0 <= r <= 1 and 0 <= q <= 1]


def _mix(
    test: Sequence[tuple[float, float, float]],
    near: Sequence[tuple[float, float]],
    difference: float,
) -> tuple[Atom, ...]:
    share = 1.0 if not test else min(0.5, 5 * abs(difference)) if near else 0.0
    total = sum(w for w, _, _ in test)
    weighted = [(w * (1 - share) / total, r, q) for w, r, q in test]
    weighted += [(share / len(near), r, q) for r, q in near]
    return tuple(_make_atom(w, r, q, difference) for w, r, q in weighted if w)


def _make_atom(weight: float, rate: float, reference: float, difference: float) -> Atom:
    x = _project(rate, reference, difference)
    y = x - difference
    return Atom(
        weight,
        *(_divide(rate, x), _divide(1 - rate, 1 - x)),
        *(_divide(reference, y), _divide(1 - reference, 1 - y)),
    )


def _divide(chance: float, null: float) -> float:
    # A smaller factor is still valid, and keeps products finite.
    return min(chance / null, _LARGEST_FACTOR)


def _project(rate: float, reference: float, difference: float) -> float:
    """Return the arm's rate of the nearest pair (least divergence) that differs by so much."""
    low, high = max(0.0, difference) + _INSIDE, min(1.0, 1.0 + difference) - _INSIDE
    for _ in range(40):
        x = (low + high) / 2
        y = x - difference
        slope = (1 - rate) / (1 - x) - rate / x + (1 - reference) / (1 - y) - reference / y
        low, high = (low, x) if slope > 0 else (x, high)
    return (low + high) / 2
