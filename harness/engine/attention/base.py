"""What an attention backend is sized by, and the moments at which the engine calls it."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from harness.engine.cache.pool import LayerCache


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """What a backend sizes its static state by. Heads are this rank's."""

    max_bs: int
    query_heads: int
    kv_heads: int
    head_dim: int
    pages_per_row: int
    page_size: int
    device: torch.device
    dtype: torch.dtype
    max_queries: int = 0
    """The most queries of one row in a captured step; 0 where a backend serves prefill alone."""
    branch_columns: int = 0
    """Columns of the widest branch table; 0 where no step has branches."""


@dataclass(frozen=True, slots=True)
class Branches:
    """What each query sees beside its row's shared prefix: pool slots, its own last."""

    slots: Tensor
    """[bs, n, columns] int64; columns beyond `lengths` are 0."""
    lengths: Tensor
    """[bs, n] int64; 0 on padding rows alone, where the answer means nothing but is finite."""


class AttentionBackend(Protocol):
    """Causal attention over the paged pool. Rows are requests; a row's queries are consecutive."""

    library: str
    """The module that the kernel is from: evidence for the capture trace."""
    writes: Tensor
    """[bs, n] int64, the pool slots of the bound queries' own keys and values."""

    def init_static_state(self, shape: AttentionShape) -> None:
        """Allocate what graphs will hold the addresses of. Called once, before any capture."""

    def prepare(self, page_table: Tensor) -> None:
        """Read the step's page table, [bs, pages_per_row] int64. Called outside graphs."""

    def bind(self, positions: Tensor) -> None:
        """Fix the query positions, [bs, n] int64, of the next forwards. Called inside graphs."""

    def bind_branches(self, prefix: Tensor, writes: Tensor, branches: Branches) -> None:
        """Fix a tree step. Called inside graphs.

        Every query of row b attends to the first `prefix[b]` positions through the page table and
        to its own branch's slots, the two partial answers merged by log-sum-exp. prefix: [bs]
        int64; writes: [bs, n] int64, the pool slots into which this forward's keys and values go.
        """

    def forward(self, query: Tensor, cache: LayerCache) -> Tensor:
        """Attend to every earlier position and its own, whose keys and values stand in the pool.

        `query` is [bs, n, query heads, head_dim], the answer [bs, n, query heads * head_dim].
        Called inside graphs.
        """

    def addresses(self) -> dict[str, int]:
        """Addresses of the static state, by name: evidence for the capture trace."""
