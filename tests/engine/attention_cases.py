"""Random attention steps over a paged pool, and what they must answer, in float64."""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.engine.attention.base import AttentionBackend, AttentionShape, Branches
from harness.engine.cache.pool import LayerCache, allocate_pool, find_slots, split_layers

#: Depth of the deepest node of a drawn tree.
COLUMNS = 4


@dataclass(frozen=True)
class Step:
    """The static inputs of one captured step: `load` draws new values into them, in place."""

    shape: AttentionShape
    count: int
    tree: bool
    cache: LayerCache
    table: Tensor
    starts: Tensor
    slots: Tensor
    lengths: Tensor
    query: Tensor
    new: Tensor

    def positions(self, bs: int) -> Tensor:
        """[bs, count] consecutive positions."""
        return self.starts[:bs, None] + torch.arange(self.count, device=self.starts.device)

    def load(self, seed: int, bs: int) -> None:
        """Draw page tables, lengths, tree, pool and queries of `bs` rows; the rest is padding."""
        generator = torch.Generator().manual_seed(seed)
        shape, count = self.shape, self.count
        pages = shape.pages_per_row
        owned = torch.randperm(shape.max_bs * pages, generator=generator) + 1
        table = owned.view(shape.max_bs, pages)
        room = pages * shape.page_size - count
        starts = torch.randint(0, room + 1, (shape.max_bs,), generator=generator)
        starts[0] = room if seed % 2 else 0  # A full row, and one with nothing before its queries.
        slots, lengths = self._branches(table, starts, generator)
        for buffer, drawn in (
            (self.table, table), (self.starts, starts),
            (self.slots, slots), (self.lengths, lengths),
        ):  # fmt: skip
            buffer.copy_(drawn)
            buffer[bs:].zero_()
        for tensor in (self.cache.keys, self.cache.values, self.query, self.new):
            tensor.copy_(torch.randn(tensor.shape, generator=generator))

    def _branches(
        self, table: Tensor, starts: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """A tree per row: node i stands at the row's position start + i, below a random node."""
        slots, lengths = torch.zeros_like(self.slots).cpu(), torch.zeros_like(self.lengths).cpu()
        own = find_slots(
            table, starts[:, None] + torch.arange(self.count), self.shape.page_size
        ).tolist()
        for row, nodes in enumerate(own):
            paths: list[list[int]] = []
            for node in nodes:
                above = [path for path in paths if len(path) < COLUMNS] + [[]]
                pick = int(torch.randint(len(above), (1,), generator=generator))
                path = [*above[pick], node]
                slots[row, len(paths), : len(path)] = torch.tensor(path)
                lengths[row, len(paths)] = len(path)
                paths.append(path)
        return slots, lengths

    def run(self, backend: AttentionBackend, bs: int) -> Tensor:
        """What a graph captures: bind, write, forward. [bs, count, heads * head_dim]."""
        if self.tree:
            writes = self._writes(bs)
            backend.bind_branches(
                self.starts[:bs], writes, Branches(self.slots[:bs], self.lengths[:bs])
            )
        else:
            backend.bind(self.positions(bs))
        for pool, new in zip((self.cache.keys, self.cache.values), self.new[:, :bs], strict=True):
            pool.index_copy_(0, backend.writes.flatten(), new.flatten(0, 1))
        return backend.forward(self.query[:bs], self.cache)

    def _writes(self, bs: int) -> Tensor:
        return find_slots(self.table[:bs], self.positions(bs), self.shape.page_size)

    def wanted(self, bs: int) -> Tensor:
        """The answer in float64, from the visible slots of each query, softmax by definition."""
        writes, size = self._writes(bs), self.shape.page_size
        pool = torch.stack([self.cache.keys, self.cache.values]).double()
        pool[:, writes.flatten()] = self.new[:, :bs].flatten(1, 2).double()
        answer = torch.zeros_like(self.query[:bs], dtype=torch.float64)
        for row in range(bs):
            start = int(self.starts[row])
            columns = torch.arange(start + self.count, device=writes.device)
            prefix = find_slots(self.table[row : row + 1], columns.unsqueeze(0), size)[0]
            for i in range(self.count):
                seen = prefix[: start + i + 1]
                if self.tree:
                    own = self.slots[row, i, : int(self.lengths[row, i])]
                    seen = torch.cat([prefix[:start], own])
                keys, values = pool[:, seen].repeat_interleave(self._group, dim=2)
                query = self.query[row, i].double()
                scores = torch.einsum("hd,shd->hs", query, keys) / query.shape[-1] ** 0.5
                answer[row, i] = torch.einsum("hs,shd->hd", scores.softmax(-1), values)
        return answer.flatten(2)

    @property
    def _group(self) -> int:
        return self.shape.query_heads // self.shape.kv_heads


def make_step(shape: AttentionShape, count: int, tree: bool) -> Step:
    """Zeroed inputs and pool for steps of up to `max_bs` rows and `count` queries."""

    def numbers(*size: int) -> Tensor:
        return torch.zeros(shape.max_bs, *size, dtype=torch.int64, device=shape.device)

    def floats(*size: int) -> Tensor:
        return torch.zeros(*size, shape.head_dim, dtype=shape.dtype, device=shape.device)

    slots = (shape.max_bs * shape.pages_per_row + 1) * shape.page_size
    pool = allocate_pool((1, 2, slots, shape.kv_heads, shape.head_dim), shape.device, shape.dtype)
    (cache,) = split_layers(pool)
    return Step(
        shape, count, tree, cache, numbers(shape.pages_per_row), numbers(),
        numbers(count, COLUMNS), numbers(count),
        floats(shape.max_bs, count, shape.query_heads),
        floats(2, shape.max_bs, count, shape.kv_heads),
    )  # fmt: skip
