"""From bytes held at some largest batch sizes to the largest that fits. Pure.

Two models, both lines with an intercept (weights, keys and values, contexts) by least squares.
Where smaller graphs reuse the largest graph's blocks, bytes grow with the largest size. Where each
graph needs blocks of its own, they grow with the sum of the captured sizes. The model with the
smaller worst residual is taken; what neither describes is refused.
"""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.core.capture import sizes_up_to

#: Below this many sizes a line with two parameters has nothing left to be checked against.
FEWEST_SIZES = 3
#: The worst residual of a line worth extending, as a share of the growth that was measured.
LARGEST_RESIDUAL = 0.1
#: So many times the largest size measured a line is trusted. An allocator gives large requests
#: segments of their own, so that a pool bends upwards later: docs/how-to/capture-cost.md
#: shows how much.
REACH = 2


@dataclass(frozen=True, slots=True)
class Line:
    """`bytes = intercept + slope * x`, and the largest distance of a measured point from it."""

    model: str
    intercept: float
    slope: float
    residual: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The largest batch size that fits, with its line; or why none is said.

    `at_least`: it fits, and stands where the line's reach ends, so that larger ones may fit too.
    """

    fits: int | None
    line: Line | None
    refused: str | None = None
    at_least: bool = False


MODELS: dict[str, Callable[[int], int]] = {
    "largest size": lambda max_bs: max_bs,
    "sum of sizes": lambda max_bs: sum(sizes_up_to(max_bs)),
}


def fit(held: Mapping[int, int]) -> Line:
    """The better of both lines through largest size -> bytes. Needs two sizes or more."""
    return min((_line(model, held) for model in MODELS), key=lambda line: line.residual)


def _line(model: str, held: Mapping[int, int]) -> Line:
    x = [MODELS[model](size) for size in held]
    slope, intercept = statistics.linear_regression(x, list(held.values()))
    errors = [abs(intercept + slope * at - b) for at, b in zip(x, held.values(), strict=True)]
    return Line(model, intercept, slope, max(errors))


def predict(held: Mapping[int, int], capacity: int) -> Prediction:
    """The largest size that `capacity` bytes hold, from largest size -> bytes held.

    No further than `REACH` times the largest size given.
    """
    if len(held) < FEWEST_SIZES:
        return Prediction(
            None, None, f"{FEWEST_SIZES} sizes or more are needed, {len(held)} fitted in memory"
        )
    line = fit(held)
    growth = max(held.values()) - min(held.values())
    if growth <= 0 or line.slope <= 0:
        return Prediction(None, line, "it does not grow over the sizes measured")
    if line.residual > LARGEST_RESIDUAL * growth:
        share = 100 * line.residual / growth
        return Prediction(
            None, line, f"no line fits: a point lies {share:.0f} % of the growth away from it"
        )
    reach = REACH * max(held)
    fits = _largest(line, capacity, reach)
    return Prediction(fits, line, at_least=fits == reach)


def _largest(line: Line, capacity: int, highest: int) -> int:
    """By bisection, 0 where not even a batch of one fits; each model grows with the size."""
    low, high = 0, highest
    while low < high:
        middle = (low + high + 1) // 2
        fits = line.intercept + line.slope * MODELS[line.model](middle) <= capacity
        low, high = (middle, high) if fits else (low, middle - 1)
    return low
