"""A4: the tail of a work list that planning never wrote.

Mechanism (FlashInfer#4430, #4794): a graph launches as many blocks as its padded batch has rows,
and each block takes its keys' row, and how far on its query row is, from a work list. Planning lays
the list out in fresh memory, fills it for the requests there are, and copies all of it to where the
graph reads. The blocks beyond get whatever that memory held before: zeros, which do no harm, or the
end of an earlier list that was laid out for another size. Then the answer of a request is computed
again, from another row's keys.
"""

import contextlib

import torch
from faults.case import FaultCase
from faults.device_memory import DeviceMemory
from faults.planning import Moment, PlannedPages, PlannedTorchNative, Step, plant
from torch import Tensor

from harness.engine.attention.base import AttentionShape

truth = dict(
    fault="A4",
    kind="wrong-output",
    factor="cuda_graph_bs",
    loud=False,
    mechanism="uninitialised-read",
    amplifier="poison",
)
axes = dict(cuda_graph_bs=["1:2:4", "1:2:3:4"], order=["ascending", "descending"])


class ListedPages(PlannedPages):
    """Pages with a work list: per block its keys' row, and how far on its query row is."""

    def __init__(self, shape: AttentionShape, memory: DeviceMemory) -> None:
        super().__init__(shape, memory)
        self.moment = Moment.EAGER
        self.list = self.allocate(2 * shape.max_bs)

    def plan(self, step: Step) -> None:
        """List the rows that there are; the fault: nothing is written for the blocks beyond."""
        super().plan(step)
        self.moment = step.moment
        if step.moment is Moment.REPLAY:
            laid_out = self.allocate(2 * step.bs)
            self.lay_out(laid_out, step.bs, step.rows)
            self.list[: 2 * step.bs] = laid_out
        else:
            self.lay_out(self.list, step.bs, step.bs)

    def lay_out(self, work: Tensor, bs: int, rows: int) -> None:
        """Write the first `rows` of `bs` places of each part of a list."""
        work[:rows] = 0
        work[bs:][:rows] = torch.arange(rows, device=work.device)


class ListedTorchNative(PlannedTorchNative):
    """Attention whose blocks take their query's row and their keys' row from a work list."""

    planned: ListedPages

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        if not self.planned.is_planned or self.planned.moment is Moment.EAGER:
            return super()._attend(query, keys, values)
        bs, mask = len(query), self._mask
        # Loads are guarded, as a kernel's are: no row leads out of the batch.
        distances, sources = self.planned.list[: 2 * bs].view(2, bs).remainder(bs).unbind()
        queries = (sources + distances).remainder(bs)
        self._mask = mask.index_select(0, sources)
        answers = super()._attend(
            *(
                part.index_select(0, rows)
                for part, rows in ((query, queries), (keys, sources), (values, sources))
            )
        )
        self._mask = mask
        return torch.zeros_like(answers).index_copy(0, queries, answers)


def make_attention(memory: DeviceMemory) -> PlannedTorchNative:
    """Make the faulty attention."""
    return ListedTorchNative(lambda shape: ListedPages(shape, memory))


class TestUninitialisedTail(FaultCase):
    """Blocks beyond the batch answer for its rows."""

    engine_args = dict(
        model="suites/models/arith/target",
        backend="torch_native",
        speculative=False,
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=32,
        prefix_cache=False,
    )
    pinned = ("backend", "speculative")
    batches = 4

    @classmethod
    def plant(cls) -> contextlib.AbstractContextManager[None]:
        return plant(make_attention)

    def test_answers_are_the_references(self) -> None:
        self.run_load()
