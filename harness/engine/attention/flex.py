"""FlexAttention, a kernel that torch.compile writes, over pages gathered per layer.

Every shape compiles once, in the warm-up before its capture. Lengths are read from static tensors
inside the kernel, so a replay at other lengths needs no other kernel and no other block mask.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, flex_attention
from torch.nn.functional import pad

from harness.engine.attention.base import AttentionShape, Branches
from harness.engine.attention.branches import attend_branches, merge
from harness.engine.attention.pages import GatheredPages
from harness.engine.cache.pool import LayerCache

BLOCK = 128
#: One variant per (rows, queries up to the next power of two): far more than an engine captures.
_VARIANTS = 512
_SHORT = 32


def compile_flex_attention() -> Callable[..., Any]:
    """`flex_attention` as torch.compile makes it: one kernel per shape, and never a fallback."""
    import torch._dynamo.config
    import torch._inductor.config

    torch._dynamo.config.recompile_limit = _VARIANTS
    torch._dynamo.config.accumulated_recompile_limit = _VARIANTS
    # In this process: helper processes of the compiler would outlive the attempt's last test.
    torch._inductor.config.compile_threads = 1
    compiled = torch.compile(flex_attention, dynamic=False, fullgraph=True)

    def attend(*args: Any, **options: Any) -> Any:
        # The compiler warns of its own deprecations, and of a precision that none here uses.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compiled(*args, **options)

    return attend


class Flex:
    """The backend behind the flag `flex`."""

    library = "torch"

    _pages: GatheredPages
    _group: int
    _sees_to: Tensor
    _blocks: Tensor
    writes: Tensor
    _mask: BlockMask
    _branches: Branches | None
    _prefix: Tensor

    def __init__(self, attend: Callable[..., Any]) -> None:
        """attend: `flex_attention`, compiled."""
        self._attend = attend

    def init_static_state(self, shape: AttentionShape) -> None:
        """Allocate the gather's workspace and what the mask reads."""
        self._pages = GatheredPages(shape)
        self._group = shape.query_heads // shape.kv_heads
        self._sees_to = torch.zeros(shape.max_bs, device=shape.device, dtype=torch.int32)
        blocks = -(-self._pages.width // BLOCK)
        self._blocks = torch.arange(blocks, device=shape.device, dtype=torch.int32)

    def prepare(self, page_table: Tensor) -> None:
        """See `AttentionBackend.prepare`."""
        self._pages.prepare(page_table)

    def bind(self, positions: Tensor) -> None:
        """Compute the write slots and the blocks to visit, once for all layers."""
        self.writes = self._pages.locate_slots(positions)
        self._branches = None
        self._set_mask(positions[:, 0], positions.shape[1], causal=True)

    def bind_branches(self, prefix: Tensor, writes: Tensor, branches: Branches) -> None:
        """See `AttentionBackend.bind_branches`."""
        self.writes = writes
        self._branches, self._prefix = branches, prefix
        self._set_mask(prefix - 1, writes.shape[1], causal=False)

    def _set_mask(self, sees_to: Tensor, count: int, *, causal: bool) -> None:
        """The first query sees columns up to `sees_to`, [bs]; each next one more where causal."""
        rows, padded = len(sees_to), _pad_count(count, self._group)
        limits = self._sees_to
        limits[:rows] = sees_to

        def visible(row: Tensor, _head: Tensor, query: Tensor, column: Tensor) -> Tensor:
            return column <= limits[row] + query if causal else column <= limits[row]

        ends = torch.arange(BLOCK, padded + BLOCK, BLOCK, device=limits.device).clamp(max=count) - 1
        last = limits[:rows, None] + (ends if causal else 0 * ends)
        visited = (last // BLOCK + 1).clamp(1, len(self._blocks)).int().unsqueeze(1)
        self._mask = BlockMask.from_kv_blocks(
            visited,
            self._blocks.expand(*visited.shape, -1).contiguous(),
            BLOCK_SIZE=BLOCK,
            mask_mod=visible,
            seq_lengths=(padded, self._pages.width),
            compute_q_blocks=False,
        )

    def forward(self, query: Tensor, cache: LayerCache) -> Tensor:
        """See `AttentionBackend.forward`."""
        keys, values, _ = self._pages.read(len(query), cache)
        count = query.shape[1]
        widened = pad(query, (0, 0, 0, 0, 0, _pad_count(count, self._group) - count))
        attended, aux = self._attend(
            widened.transpose(1, 2),
            keys.transpose(1, 2),
            values.transpose(1, 2),
            block_mask=self._mask,
            enable_gqa=query.shape[2] != keys.shape[2],
            return_aux=AuxRequest(lse=True),
        )
        attended = attended.transpose(1, 2)[:, :count]
        if self._branches is not None:
            branch, branch_lse = attend_branches(query, cache, self._branches)
            lse = aux.lse[..., :count]
            attended = merge(attended, lse, self._prefix, branch, branch_lse)
        joined: Tensor = attended.flatten(2)
        return joined

    def addresses(self) -> dict[str, int]:
        """Addresses of the static state."""
        return {**self._pages.addresses(), "attention.mask": self._sees_to.data_ptr()}


def _pad_count(count: int, group: int) -> int:
    """Queries up to the next power of two: few kernels serve prompts of any length.

    The kernel for short queries takes all heads of a group at once and has room for few: from
    `_SHORT` rows on, a whole block of queries makes the compiler choose the other one.
    """
    padded: int = 1 << (count - 1).bit_length()
    return padded if padded * group <= _SHORT else max(padded, BLOCK)
