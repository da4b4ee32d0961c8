"""What the FlashAttention backends share: everything but the kernel."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from harness.engine.attention.base import AttentionShape, Branches
from harness.engine.attention.branches import attend_branches, merge
from harness.engine.attention.pages import GatheredPages, NativePages
from harness.engine.cache.pool import LayerCache


@dataclass(frozen=True, slots=True)
class KernelCall:
    """What one FlashAttention kernel is given: queries, and cached keys and values.

    Each row's queries, [bs, n, heads, head_dim], attend to its first `lengths`, [bs] int32. Keys
    and values are [bs, width, KV heads, head_dim], or with a page table, [bs, pages] int32,
    [pages, page_size, KV heads, head_dim]. Causal: the last query sees all, the one before it one
    less.
    """

    query: Tensor
    keys: Tensor
    values: Tensor
    lengths: Tensor
    page_table: Tensor | None
    causal: bool
    splits: int


#: Returns the attended values and the log-sum-exps, [bs, heads, n].
Kernel = Callable[[KernelCall], tuple[Tensor, Tensor]]


class FlashAttention:
    """A backend around one kernel."""

    _pages: GatheredPages | NativePages
    writes: Tensor
    _lengths: Tensor
    _branches: Branches | None

    def __init__(self, kernel: Kernel, library: str, *, native: bool, splits: int) -> None:
        """`library`: the module that the kernel is from; `native`: it reads the page table.

        `splits`: KV splits, 0 for the kernel's own choice.

        The kernel's own choice depends on the batch, and with it the memory of a captured graph.
        """
        self.library = library
        self._kernel = kernel
        self._native = native
        self._splits = splits

    def init_static_state(self, shape: AttentionShape) -> None:
        """Allocate the page table, and the workspace where pages are gathered."""
        self._pages = (NativePages if self._native else GatheredPages)(shape)

    def prepare(self, page_table: Tensor) -> None:
        """See `AttentionBackend.prepare`."""
        self._pages.prepare(page_table)

    def bind(self, positions: Tensor) -> None:
        """Compute the write slots and each row's length, once for all layers."""
        self.writes = self._pages.locate_slots(positions)
        self._lengths = (positions[:, -1] + 1).int()
        self._branches = None

    def bind_branches(self, prefix: Tensor, writes: Tensor, branches: Branches) -> None:
        """See `AttentionBackend.bind_branches`."""
        self.writes = writes
        self._lengths = prefix.int()
        self._branches = branches

    def forward(self, query: Tensor, cache: LayerCache) -> Tensor:
        """See `AttentionBackend.forward`."""
        keys, values, table = self._pages.read(len(query), cache)
        causal = self._branches is None
        call = KernelCall(query, keys, values, self._lengths, table, causal, self._splits)
        attended, lse = self._kernel(call)
        if self._branches is not None:
            branch, branch_lse = attend_branches(query, cache, self._branches)
            attended = merge(attended, lse, self._lengths, branch, branch_lse)
        return attended.flatten(2)

    def addresses(self) -> dict[str, int]:
        """Addresses of the static state."""
        return self._pages.addresses()
