"""Puts the sizes that an engine captures into the order that was asked for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

ORDERS = ("ascending", "descending", "shuffled")


class Ordering:
    """One of ORDERS. `shuffled` follows from the attempt's seed, so that a rerun repeats it."""

    def __init__(self, order: str, seed: int) -> None:
        if order not in ORDERS:
            raise ValueError(f"no capture order {order!r}: choose from {', '.join(ORDERS)}")
        self.order = order
        self._seed = seed

    def sort(self, items: Iterable[Any], get_size: Callable[[Any], int] = int) -> list[Any]:
        """Return the items in the order of their sizes. Items of one size keep theirs."""
        placed = sorted(items, key=get_size)
        if self.order == "descending":
            placed.sort(key=get_size, reverse=True)
        elif self.order == "shuffled":
            import random

            random.Random(self._seed).shuffle(placed)
        return placed

    def make_reversed(self, built_in: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a stand-in for `reversed`: sizes come in our order, all else is reversed."""

        def reverse(sequence: Any) -> Any:
            return iter(self.sort(sequence)) if are_sizes(sequence) else built_in(sequence)

        return reverse


def are_sizes(value: Any) -> bool:
    """Return whether the value is a list or tuple of whole numbers above 0."""
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in value)
    )
