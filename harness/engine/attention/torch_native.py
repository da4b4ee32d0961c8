"""PyTorch's own attention over pages gathered per layer: SDPA reads no page table.

SDPA answers no log-sum-exp either, so in a tree step the prefix's part is two products in float32,
merged with the branches' part as the other backends do: a branch is read through its own slots.
"""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from harness.engine.attention.base import AttentionShape, Branches
from harness.engine.attention.branches import attend_branches, merge
from harness.engine.attention.pages import GatheredPages
from harness.engine.cache.pool import LayerCache


class TorchNative:
    """The backend behind the flag `torch_native`."""

    library = "torch"

    _shape: AttentionShape
    _pages: GatheredPages
    _columns: Tensor
    writes: Tensor
    _mask: Tensor
    _prefix: Tensor
    _branches: Branches | None

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
        self.writes = self._pages.locate_slots(positions)
        self._branches = None
        hidden = self._columns > positions.unsqueeze(-1)
        mask = torch.zeros(hidden.shape, device=hidden.device, dtype=self._shape.dtype)
        self._mask = mask.masked_fill_(hidden, float("-inf")).unsqueeze(1)

    def bind_branches(self, prefix: Tensor, writes: Tensor, branches: Branches) -> None:
        """See `AttentionBackend.bind_branches`."""
        self.writes = writes
        self._prefix, self._branches = prefix, branches
        self._mask = self._columns >= prefix.view(-1, 1, 1, 1, 1)

    def forward(self, query: Tensor, cache: LayerCache) -> Tensor:
        """See `AttentionBackend.forward`."""
        keys, values, _ = self._pages.read(len(query), cache)
        if self._branches is None:
            return self._attend(query, keys, values).transpose(1, 2).flatten(2)
        attended, lse = self._attend_prefix(query, keys, values)
        own, own_lse = attend_branches(query, cache, self._branches)
        return merge(attended, lse, self._prefix, own, own_lse).to(query.dtype).flatten(2)

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """[bs, heads, n, head_dim]."""
        return scaled_dot_product_attention(
            query.transpose(1, 2),
            keys.transpose(1, 2),
            values.transpose(1, 2),
            attn_mask=self._mask,
            enable_gqa=self._shape.query_heads != self._shape.kv_heads,
        )

    def _attend_prefix(self, query: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """[bs, n, heads, head_dim] and log-sum-exps [bs, heads, n], at least float32."""
        bs, count, _, dim = query.shape
        accurate = torch.promote_types(query.dtype, torch.float32)
        grouped = query.view(bs, count, keys.shape[2], -1, dim).to(accurate)
        scores = torch.einsum("bnhgd,bwhd->bhgnw", grouped, keys.to(accurate)) * dim**-0.5
        scores = scores.masked_fill(self._mask, float("-inf"))
        attended = torch.einsum("bhgnw,bwhd->bnhgd", scores.softmax(-1), values.to(accurate))
        return attended.flatten(2, 3), scores.logsumexp(-1).flatten(1, 2)

    def addresses(self) -> dict[str, int]:
        """Addresses of the static state."""
        return self._pages.addresses()
