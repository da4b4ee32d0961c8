"""Up to which batch size a capture order fits, from what was measured, in words. Pure."""

from collections.abc import Sequence

from harness.analysis.wording import format_percent
from harness.core.capture_cost import CaptureCost
from harness.stats.capacity import REACH, Prediction, predict

MIB = 1 << 20
GIB = 1 << 30

#: What follows from a single size is said with the case in which it misled.
ONE_SIZE = (
    "one size says nothing about larger ones: 0.21 GB at a largest batch of 5 was once read as "
    "cheap, and out-of-memory failures followed; give --max-bs several sizes"
)


def find_capacity(costs: Sequence[CaptureCost], memory: int | None) -> int:
    """Return the bytes that must hold everything: as given, else the device's."""
    return memory or max((cost.total_bytes for cost in costs), default=0)


def predict_sizes(costs: Sequence[CaptureCost], memory: int | None) -> dict[str, Prediction]:
    """Return, per order, the largest size that fits, from the sizes that did."""
    capacity, fitted = find_capacity(costs, memory), [cost for cost in costs if cost.unfit is None]
    return {
        order: predict(_measure_needs([c for c in fitted if c.order == order], memory), capacity)
        for order in list_orders(costs)
    }


def _measure_needs(costs: Sequence[CaptureCost], memory: int | None) -> dict[int, int]:
    """Return the bytes that one order needs, by its largest size.

    An arena holds graphs alone and nothing is given back: what it held, or for another memory
    weights, keys and values too. On a device the most in use and the pools, whose free blocks
    serve nobody else. What was held beyond that at the worst size is added to all: contexts, other
    processes, and the allocator's cache, which follows no line.
    """
    if any(cost.graphs == "recorded" for cost in costs):
        return {cost.max_bs: cost.footprint if memory else cost.held for cost in costs}
    used = {cost.max_bs: cost.peak_bytes + cost.pool_bytes for cost in costs}
    beyond = max((cost.held - used[cost.max_bs] for cost in costs), default=0)
    return {size: count + max(0, beyond) for size, count in used.items()}


def list_orders(costs: Sequence[CaptureCost]) -> list[str]:
    """Return the orders measured, as first met."""
    return list(dict.fromkeys(cost.order for cost in costs))


def describe_costs(costs: Sequence[CaptureCost], memory: int | None) -> list[str]:
    """Return what was found, one finding a sentence."""
    sizes = sorted({cost.max_bs for cost in costs})
    found = [f"max_bs {c.max_bs} {c.order} does not fit: {c.unfit}" for c in costs if c.unfit]
    for size in sizes:
        found += _describe_differences([c for c in costs if c.max_bs == size and c.unfit is None])
    for order, prediction in predict_sizes(costs, memory).items():
        found.append(
            _describe_prediction(order, prediction, find_capacity(costs, memory), sizes[-1])
        )
    return found + ([ONE_SIZE] if len(sizes) == 1 else [])


def _describe_differences(fitted: Sequence[CaptureCost]) -> list[str]:
    """Return each order against the cheapest of one size."""
    if len(fitted) < 2:
        return []
    base = min(fitted, key=lambda cost: cost.pool_bytes)
    return [_describe_difference(cost, base) for cost in fitted if cost is not base]


def _describe_difference(cost: CaptureCost, base: CaptureCost) -> str:
    more = cost.pool_bytes - base.pool_bytes
    where = f"max_bs {cost.max_bs}: {cost.order} takes"
    if not more:
        return f"{where} as much graph pool as {base.order}, {format_mib(base.pool_bytes)} MiB"
    return (
        f"{where} {format_mib(more)} MiB of graph pool more than {base.order}, "
        f"{format_percent(more / base.footprint)} of the footprint "
        f"(weights, KV and graphs: {base.footprint / GIB:.2f} GiB)"
    )


def _describe_prediction(order: str, prediction: Prediction, capacity: int, largest: int) -> str:
    line, room = prediction.line, f"{capacity / GIB:.2f} GiB"
    if prediction.refused is not None or line is None or prediction.fits is None:
        return f"{order}: no prediction of the size that no longer fits: {prediction.refused}"
    model = (
        f"{line.intercept / GIB:.2f} GiB + {line.slope / MIB:.3f} MiB x {line.model}, "
        f"worst residual {format_mib(round(line.residual))} MiB"
    )
    if prediction.at_least:
        return (
            f"{order}: predicted to fit {room} at least up to max_bs {prediction.fits}, {REACH} "
            f"times the largest size measured ({model}); no line is trusted further: measure "
            "larger sizes"
        )
    reach = f", {prediction.fits / largest:.1f} times the largest size measured"
    return (
        f"{order}: predicted to fit {room} up to max_bs {prediction.fits} and no further "
        f"({model}{reach if prediction.fits > largest else ''})"
    )


def format_mib(count: int) -> str:
    """Return bytes in MiB, without the unit."""
    return f"{count / MIB:.1f}"
