"""A4: the tail of a work list that planning never wrote.

Mechanism (FlashInfer#4430, #4794): a graph launches as many blocks as its padded batch has rows,
and each block takes its query row and its keys' row from a work list. Planning fills the list for
the requests there are. The blocks beyond read what the list's memory held before: if that names a
request, its answer is computed again, from another row's keys.

The list stands in the graphs' pool, whose blocks other graphs wrote to before.
"""

import contextlib
from collections.abc import Callable

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
axes = dict(cuda_graph_bs=["1:2:4", "1:2:3:4"], FAULT_INPUTS=["drawn", "same"])


class ListedTorchNative(PlannedTorchNative):
    """Attention whose blocks take their query's row and their keys' row from a work list."""

    moment = Moment.EAGER

    def __init__(self, make_pages: Callable[[AttentionShape], PlannedPages]) -> None:
        super().__init__(make_pages)
        self._lists: dict[int, Tensor] = {}

    def plan(self, step: Step) -> None:
        """List the rows that there are; the fault: nothing is written for the blocks beyond."""
        super().plan(step)
        self.moment = step.moment
        if step.moment is Moment.REPLAY:
            listed = self._lists[step.bs]
            listed[:, : step.rows] = torch.arange(step.rows, device=listed.device)

    def bind(self, positions: Tensor) -> None:
        """In capture, take the list's memory from the graphs' pool.

        First of all: in a block that the same graph used before, its replay would spoil the plan.
        """
        if self.planned.is_planned and self.moment is Moment.CAPTURE:
            self._lists[len(positions)] = positions.new_empty(2, len(positions))
        super().bind(positions)

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        if not self.planned.is_planned or self.moment is not Moment.CAPTURE:
            return super()._attend(query, keys, values)
        bs, mask = len(query), self._mask
        queries, sources = self._lists[bs].clamp(0, bs - 1).unbind()
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
    return ListedTorchNative(lambda shape: PlannedPages(shape, memory))


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

    @classmethod
    def plant(cls) -> contextlib.AbstractContextManager[None]:
        return plant(make_attention)

    def test_answers_are_the_references(self) -> None:
        self.run_load()
