"""The order in which batch sizes are captured, and the ordering gate.

Order is a variable under measurement, never a fix: a layout change moves a corruption to another
victim. The gate below is the rule of sglang PR #26550, kept so that it can be measured.
"""

import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from harness.core.errors import unknown_value

_TRUE = frozenset({"1", "true", "yes"})


class CaptureOrder(StrEnum):
    """What a cell may request on its `order` axis."""

    ASCENDING = "ascending"
    DESCENDING = "descending"
    SHUFFLED = "shuffled"
    GATE = "gate"


def parse_order(text: str) -> CaptureOrder:
    """Read one value of `--order`. Raises UsageError naming the orders that exist."""
    try:
        return CaptureOrder(text)
    except ValueError:
        raise unknown_value(
            "capture order", text, [order.value for order in CaptureOrder]
        ) from None


def decide_order(
    in_ci: bool, prefill: str | None, decode: str | None, draft: str | None
) -> CaptureOrder:
    """Ascending iff in CI and `fa3` is among the three roles' backends, else descending."""
    uses_fa3 = "fa3" in (prefill, decode, draft)
    return CaptureOrder.ASCENDING if in_ci and uses_fa3 else CaptureOrder.DESCENDING


def is_in_ci(environ: Mapping[str, str]) -> bool:
    """`HARNESS_IS_IN_CI` decides where it is set, else `CI`. Called once, in the driver."""
    value = environ.get("HARNESS_IS_IN_CI", environ.get("CI", ""))
    return value.strip().lower() in _TRUE


def capture_sequence(order: CaptureOrder, sizes: Iterable[int], seed: int) -> list[int]:
    """The batch sizes in the order in which they are captured.

    `order` must be resolved: passing GATE raises ValueError, since the gate's answer belongs to
    the caller, who knows the backends. `seed` matters for SHUFFLED alone.
    """
    ascending = sorted(set(sizes))
    match order:
        case CaptureOrder.ASCENDING:
            return ascending
        case CaptureOrder.DESCENDING:
            return ascending[::-1]
        case CaptureOrder.SHUFFLED:
            random.Random(seed).shuffle(ascending)
            return ascending
        case CaptureOrder.GATE:
            raise ValueError("resolve the gate before asking for a sequence")


def name_order(sequence: Sequence[int]) -> str:
    """Name the order that a capture trace shows: ascending, descending, single, none or mixed."""
    if len(sequence) < 2:
        return "single" if sequence else "none"
    steps = {later > earlier for earlier, later in itertools.pairwise(sequence)}
    if len(steps) > 1:
        return "mixed"
    return "ascending" if steps.pop() else "descending"
