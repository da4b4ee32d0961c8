"""PyTorch's scaled dot-product attention with a dense mask, over pages gathered per layer.

SDPA reads no page table and answers no log-sum-exp, so a tree step is one mask too: a branch's
slots stand in the row's own pages, hence among the gathered columns.
"""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from harness.engine.attention.base import AttentionShape, Branches
from harness.engine.attention.gather import GatheredPages, store
from harness.engine.kv import LayerCache


class TorchNative:
    """The backend behind the flag `torch_native`."""

    _shape: AttentionShape
    _pages: GatheredPages
    _columns: Tensor
    _mask: Tensor
    _writes: Tensor

    def init_static_state(self, shape: AttentionShape) -> None:
        """Allocate the page table, the gather index and the workspace for `max_bs` rows."""
        self._shape = shape
        self._pages = GatheredPages(shape)
        self._columns = torch.arange(self._pages.width, device=shape.device)

    def prepare(self, page_table: Tensor) -> None:
        """Spread the page table into one pool slot per column."""
        self._pages.prepare(page_table)

    def bind(self, positions: Tensor) -> None:
        """Compute the write slots and the additive mask, once for all layers."""
        self._writes = self._pages.slots(positions)
        self._set_mask(self._columns <= positions.unsqueeze(-1))

    def bind_branches(self, prefix: Tensor, writes: Tensor, branches: Branches) -> None:
        """See `AttentionBackend.bind_branches`. A padding row sees its first slot."""
        self._writes = writes
        columns = torch.arange(branches.slots.shape[-1], device=writes.device)
        held = columns < branches.lengths.clamp(min=1).unsqueeze(-1)
        slots = branches.slots.masked_fill(~held, -1)
        index = self._pages.index[: len(prefix)]
        own = (index[:, None, :, None] == slots[:, :, None]).any(-1)
        self._set_mask(own | (self._columns < prefix.view(-1, 1, 1)))

    def _set_mask(self, visible: Tensor) -> None:
        """Take [bs, n, width] truths."""
        mask = torch.zeros(visible.shape, device=visible.device, dtype=self._shape.dtype)
        self._mask = mask.masked_fill_(~visible, float("-inf")).unsqueeze(1)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, cache: LayerCache) -> Tensor:
        """See `AttentionBackend.forward`."""
        store(cache, self._writes, key, value)
        keys, values, _ = self._pages.read(len(query), cache)
        attended = scaled_dot_product_attention(
            query.transpose(1, 2),
            keys.transpose(1, 2),
            values.transpose(1, 2),
            attn_mask=self._mask,
            enable_gqa=self._shape.query_heads != self._shape.kv_heads,
        )
        return attended.transpose(1, 2).flatten(2)

    def addresses(self) -> dict[str, int]:
        """Addresses of the static state."""
        return self._pages.addresses()
