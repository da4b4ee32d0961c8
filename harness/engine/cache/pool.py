"""The paged key/value pool, and the allocator of its pages."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LayerCache:
    """One layer's keys and values, each [slots, local KV heads, head_dim]; slots fill pages."""

    keys: Tensor
    values: Tensor


def allocate_pool(shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """[layers, 2, slots, KV heads, head_dim]: keys before values.

    Zeroed, since a masked NaN is still a NaN once multiplied by zero.
    """
    return torch.zeros(shape, device=device, dtype=dtype)


def split_layers(pool: Tensor) -> list[LayerCache]:
    """Views of a pool, by layer."""
    return [LayerCache(layer[0], layer[1]) for layer in pool]


def move_slots(pool: Tensor, sources: Tensor, targets: Tensor) -> None:
    """Copy all layers' keys and values from `sources` to `targets`, int64 of one shape.

    A slot may be both: everything is read before anything is written.
    """
    pool.index_copy_(2, targets.flatten(), pool.index_select(2, sources.flatten()))


def find_slots(page_table: Tensor, positions: Tensor, page_size: int) -> Tensor:
    """Pool slots of token positions: [rows, pages] and [rows, n] give [rows, n], all int64."""
    if page_size == 1:
        return page_table.gather(1, positions)
    pages = page_table.gather(1, positions // page_size)
    return pages * page_size + positions % page_size


class PageAllocator:
    """Hands out pages 1..n-1; page 0 is the padding rows'. The page freed last goes out first."""

    def __init__(self, num_pages: int) -> None:
        self._free = list(range(num_pages - 1, 0, -1))
        self._taken: set[int] = set()

    @property
    def free(self) -> int:
        """Pages left."""
        return len(self._free)

    def allocate(self, count: int) -> list[int] | None:
        """`count` pages, or None where so many are not free."""
        if count > len(self._free):
            return None
        pages = [self._free.pop() for _ in range(count)]
        self._taken.update(pages)
        return pages

    def release(self, pages: list[int]) -> None:
        """Give pages back. Raises ValueError for a page that is not out."""
        for page in pages:
            if page not in self._taken:
                raise ValueError(f"page {page} is not allocated")
            self._taken.discard(page)
            self._free.append(page)
