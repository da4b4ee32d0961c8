"""The pages of a step's rows: read in place by kernels that take a page table, else gathered.

Gathering copies every page of a row, `pages_per_row` of them whatever the row's length, into one
static workspace inside the graph; the backend hides what lies beyond the length.
"""

import torch
from torch import Tensor

from harness.engine.attention.base import AttentionShape
from harness.engine.cache.pool import LayerCache, find_slots


class GatheredPages:
    """Pages copied to a static workspace."""

    def __init__(self, shape: AttentionShape) -> None:
        """Allocate the page table, the gather index and the workspace for `max_bs` rows."""
        #: Columns per row; `index`, [max_bs, width], is the pool slot that each one copies.
        self.width = shape.pages_per_row * shape.page_size
        self._page_size = shape.page_size
        self._columns = torch.arange(self.width, device=shape.device)
        self._table = self._columns.new_zeros(shape.max_bs, shape.pages_per_row)
        self.index = self._columns.new_zeros(shape.max_bs, self.width)
        self._workspace = torch.zeros(
            2, shape.max_bs * self.width, shape.kv_heads, shape.head_dim,
            device=shape.device, dtype=shape.dtype,
        )  # fmt: skip

    def prepare(self, page_table: Tensor) -> None:
        """Spread [bs, pages_per_row] pages into one pool slot per column. Outside graphs."""
        rows = page_table.shape[0]
        self._table[:rows] = page_table
        columns = self._columns.expand(rows, -1)
        self.index[:rows] = find_slots(page_table, columns, self._page_size)

    def locate_slots(self, positions: Tensor) -> Tensor:
        """Pool slots of [bs, n] positions."""
        return find_slots(self._table[: len(positions)], positions, self._page_size)

    def read(self, rows: int, cache: LayerCache) -> tuple[Tensor, Tensor, None]:
        """Keys and values, [rows, width, KV heads, head_dim] each, and no page table."""
        return self._gather(0, rows, cache.keys), self._gather(1, rows, cache.values), None

    def _gather(self, which: int, rows: int, pool: Tensor) -> Tensor:
        gathered = self._workspace[which, : rows * self.width]
        torch.index_select(pool, 0, self.index[:rows].view(-1), out=gathered)
        return gathered.view(rows, self.width, *pool.shape[1:])

    def addresses(self) -> dict[str, int]:
        """Addresses of the static state."""
        return {
            "attention.page_table": self._table.data_ptr(),
            "attention.gather_index": self.index.data_ptr(),
            "attention.workspace": self._workspace.data_ptr(),
        }


class NativePages:
    """Pages left where they are, beside the page table that the kernel reads, int32."""

    def __init__(self, shape: AttentionShape) -> None:
        """Allocate the page table for `max_bs` rows."""
        self._page_size = shape.page_size
        size = (shape.max_bs, shape.pages_per_row)
        self._table = torch.zeros(size, device=shape.device, dtype=torch.int32)

    def prepare(self, page_table: Tensor) -> None:
        """Take over the step's page table, [bs, pages_per_row]. Outside graphs."""
        self._table[: len(page_table)] = page_table

    def locate_slots(self, positions: Tensor) -> Tensor:
        """Pool slots of [bs, n] positions."""
        return find_slots(self._table[: len(positions)].long(), positions, self._page_size)

    def read(self, rows: int, cache: LayerCache) -> tuple[Tensor, Tensor, Tensor]:
        """Keys and values as [pages, page_size, KV heads, head_dim], and the rows' page table."""
        paged = (-1, self._page_size, *cache.keys.shape[1:])
        return cache.keys.view(paged), cache.values.view(paged), self._table[:rows]

    def addresses(self) -> dict[str, int]:
        """Address of the page table."""
        return {"attention.page_table": self._table.data_ptr()}
