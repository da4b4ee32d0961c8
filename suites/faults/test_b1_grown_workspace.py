"""B1: a shared workspace that grows after graphs were captured.

Mechanism (FlashInfer#4398, vLLM#52553: 256 bytes more, 8 of 9 graphs stale): the workspace is sized
for what was seen so far. A larger step later gets a larger one, the old block is freed, and every
graph still reads there: what the last plan before left, or what others write since.
"""

import contextlib

from faults.case import FaultCase
from faults.device_memory import DeviceMemory
from faults.planning import PlannedPages, PlannedTorchNative, Step, plant

from harness.engine.attention.base import AttentionShape

truth = dict(
    fault="B1",
    kind="wrong-output",
    factor="env:FAULT_LOAD",
    loud=False,
    mechanism="workspace-grown-later",
    amplifier="poison",
)
axes = dict(FAULT_LOAD=["long", "short"], order=["ascending", "descending"])

#: Slots per row that the workspace begins with.
FIRST_LENGTH = 14


class GrowingPages(PlannedPages):
    """Pages whose workspace begins small."""

    def __init__(self, shape: AttentionShape, memory: DeviceMemory) -> None:
        super().__init__(shape, memory)
        self.slots = self.allocate(shape.max_bs * FIRST_LENGTH)

    def write_slots(self, step: Step) -> None:
        """The fault: what is outgrown moves, whoever holds its address."""
        if sum(step.lengths) > len(self.slots):
            self.slots = self.allocate(sum(step.lengths))
        super().write_slots(step)


def make_attention(memory: DeviceMemory) -> PlannedTorchNative:
    """Make the faulty attention."""
    return PlannedTorchNative(lambda shape: GrowingPages(shape, memory))


class TestGrownWorkspace(FaultCase):
    """Graphs read the workspace that was replaced."""

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
