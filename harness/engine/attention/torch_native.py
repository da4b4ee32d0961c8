"""PyTorch's scaled dot-product attention with a dense mask, over pages gathered per layer.

SDPA reads no page table, so each row's pages are gathered into one static workspace inside the
graph, `pages_per_row` pages wide whatever the row's length; the mask hides the rest.
"""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from harness.engine.attention.base import AttentionShape
from harness.engine.kv import LayerCache, slots_of


class TorchNative:
    """The backend behind the flag `torch_native`."""

    _shape: AttentionShape
    _gather: Tensor
    _table: Tensor
    _columns: Tensor
    _workspace: Tensor
    _mask: Tensor
    _slots: Tensor

    def init_static_state(self, shape: AttentionShape) -> None:
        """Allocate the page table, the gather index and the workspace for `max_bs` rows."""
        width = shape.pages_per_row * shape.page_size
        self._shape = shape
        self._columns = torch.arange(width, device=shape.device)
        self._gather = self._columns.new_zeros(shape.max_bs, width)
        self._table = self._columns.new_zeros(shape.max_bs, shape.pages_per_row)
        self._workspace = torch.zeros(
            2, shape.max_bs * width, shape.kv_heads, shape.head_dim,
            device=shape.device, dtype=shape.dtype,
        )  # fmt: skip

    def prepare(self, page_table: Tensor) -> None:
        """Spread the page table into one pool slot per column."""
        rows = page_table.shape[0]
        self._table[:rows] = page_table
        columns = self._columns.expand(rows, -1)
        self._gather[:rows] = slots_of(page_table, columns, self._shape.page_size)

    def bind(self, positions: Tensor) -> None:
        """Compute the write slots and the additive mask, once for all layers."""
        rows = positions.shape[0]
        self._slots = slots_of(self._table[:rows], positions, self._shape.page_size).flatten()
        hidden = self._columns > positions.unsqueeze(-1)
        mask = torch.zeros(hidden.shape, device=hidden.device, dtype=self._shape.dtype)
        self._mask = mask.masked_fill_(hidden, float("-inf")).unsqueeze(1)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, cache: LayerCache) -> Tensor:
        """See `AttentionBackend.forward`."""
        rows, count = query.shape[:2]
        attended = scaled_dot_product_attention(
            query.transpose(1, 2),
            self._store_and_gather(0, rows, key, cache.keys),
            self._store_and_gather(1, rows, value, cache.values),
            attn_mask=self._mask,
            enable_gqa=self._shape.query_heads != self._shape.kv_heads,
        )
        return attended.transpose(1, 2).reshape(rows, count, -1)

    def _store_and_gather(self, which: int, rows: int, new: Tensor, pool: Tensor) -> Tensor:
        """Write new entries, then read all columns back: [bs, KV heads, width, head_dim]."""
        pool.index_copy_(0, self._slots, new.flatten(0, 1))
        width = self._columns.shape[0]
        gathered = self._workspace[which, : rows * width]
        torch.index_select(pool, 0, self._gather[:rows].view(-1), out=gathered)
        return gathered.view(rows, width, *pool.shape[1:]).transpose(1, 2)

    def addresses(self) -> dict[str, int]:
        """Addresses of the static state."""
        return {
            "attention.page_table": self._table.data_ptr(),
            "attention.gather_index": self._gather.data_ptr(),
            "attention.workspace": self._workspace.data_ptr(),
        }
