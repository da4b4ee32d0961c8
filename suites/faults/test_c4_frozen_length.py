"""C4: a Python number that capture bakes in.

Mechanism (transformers#45323, accuracy 0.45 to 0.23 without a crash; vLLM#20301 is of its kind):
the longest length of a batch is a Python int, from which the kernel's loop is bounded. Eager runs
take it anew for each step; a graph keeps the value that it was captured with, so every request that
gets longer is cut off, silently.
"""

import contextlib

import torch
from faults.case import FaultCase
from faults.device_memory import DeviceMemory
from faults.planning import Moment, PlannedPages, PlannedTorchNative, Step, plant
from torch import Tensor

truth = dict(
    fault="C4",
    kind="wrong-output",
    factor="env:FAULT_LOAD",
    loud=False,
    mechanism="frozen-value",
    amplifier="",
)
axes = dict(FAULT_LOAD=["long", "short"], order=["ascending", "descending"])

#: Longest request of the batch that is captured with.
LENGTH_AT_CAPTURE = 14


class FrozenLength(PlannedTorchNative):
    """Attention up to the longest row's length, a Python int."""

    longest = 0

    def plan(self, step: Step) -> None:
        """Note how far the longest row reaches."""
        super().plan(step)
        captures = step.moment is Moment.CAPTURE
        self.longest = LENGTH_AT_CAPTURE if captures else max(step.lengths)

    def bind(self, positions: Tensor) -> None:
        """The fault: the number becomes part of the graph."""
        super().bind(positions)
        if self.planned.is_planned:
            beyond = self._columns >= self.longest
            self._mask = torch.where(beyond, float("-inf"), self._mask)


def make_attention(memory: DeviceMemory) -> FrozenLength:
    """Make the faulty attention."""
    return FrozenLength(lambda shape: PlannedPages(shape, memory))


class TestFrozenLength(FaultCase):
    """Requests longer than the graph's are cut off."""

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
