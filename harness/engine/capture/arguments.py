"""The tensors among an operator's arguments or results: lists, tuples and dictionaries of them.

Torch's own trees take any type, and half of the time that a recording takes.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor


def iterate_tensors(value: Any) -> Iterator[Tensor]:
    """Yield every tensor, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from iterate_tensors(item)
    elif isinstance(value, dict):
        yield from iterate_tensors(tuple(value.values()))


def map_tensors(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Return the value with every tensor changed; containers keep their types."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)([map_tensors(change, item) for item in value])
    if isinstance(value, dict):
        return {key: map_tensors(change, item) for key, item in value.items()}
    return value
