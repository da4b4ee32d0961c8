"""B3: a workspace whose size is not monotone in the batch size. The true order bug.

Mechanism (TensorRT-LLM#16319): graphs are captured from the largest batch size down, in the belief
that the first one needs the largest workspace. The kernel for a single request splits its keys over
many blocks and needs more. The workspace is replaced while graphs are captured, and those captured
before keep the old address. Whoever warms up all shapes before the first capture never sees it.
"""

import contextlib

from faults.case import FaultCase
from faults.device_memory import DeviceMemory
from faults.planning import PlannedPages, PlannedTorchNative, Step, plant

from harness.engine.attention.base import AttentionShape

truth = dict(
    fault="B3",
    kind="wrong-output",
    factor="order",
    loud=False,
    mechanism="workspace-grown-in-capture",
    amplifier="poison",
)
axes = dict(order=["descending", "ascending"], FAULT_LOAD=["long", "short"])

#: Parts that the kernel for one request splits its keys into, each with room for a whole row.
SPLITS = 8


class SplitPages(PlannedPages):
    """Pages whose workspace is sized by the kernel that serves the batch."""

    def __init__(self, shape: AttentionShape, memory: DeviceMemory) -> None:
        super().__init__(shape, memory)
        self.slots = self.allocate(1)

    def write_slots(self, step: Step) -> None:
        """The fault: what is outgrown moves, whoever holds its address."""
        needed = self.width * (SPLITS if step.bs == 1 else step.bs)
        if needed > len(self.slots):
            self.slots = self.allocate(needed)
        super().write_slots(step)


def make_attention(memory: DeviceMemory) -> PlannedTorchNative:
    """Make the faulty attention."""
    return PlannedTorchNative(lambda shape: SplitPages(shape, memory))


class TestWorkspaceNotMonotone(FaultCase):
    """Graphs captured before the single request's read the old workspace."""

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
