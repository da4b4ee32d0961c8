"""G6: memory runs out in one capture order only.

Mechanism (sglang#26600, the revert of the ordering gate): a graph takes over the workspace of an
earlier one if it is large enough. Captured from the largest size down, all graphs share the first
one's. Captured from the smallest size up, each needs a larger one, and none can be freed, because
graphs hold their addresses. Nothing is corrupted; the sum does not fit.
"""

import contextlib

import torch
from faults.case import FaultCase
from faults.device_memory import DeviceMemory
from faults.planning import Moment, PlannedPages, PlannedTorchNative, Step, plant
from torch import Tensor

from harness.engine.attention.base import AttentionShape

truth = dict(
    fault="G6",
    kind="out-of-memory",
    factor="order",
    loud=True,
    mechanism="memory-exhaustion",
    amplifier="",
)
axes = dict(order=["ascending", "descending"], FAULT_LOAD=["long", "short"])

#: The unit of memory: on a GPU, what torch and cuBLAS need beside workspaces must not count.
UNIT = (1 << 30) if torch.cuda.is_available() else 10 << 20

#: Bytes of workspace per row. The sizes 1, 2 and 4 take 7 units together, and 4 if they share.
WORKSPACE = UNIT

#: Bytes that the device has for all of it.
CAPACITY = UNIT * 64 // 10


class SharingPages(PlannedPages):
    """Pages whose workspace is an earlier graph's if it is large enough."""

    def __init__(self, shape: AttentionShape, memory: DeviceMemory) -> None:
        super().__init__(shape, memory)
        self._workspaces: list[Tensor] = []
        self._plans: dict[int, Tensor] = {}

    def write_slots(self, step: Step) -> None:
        """Plan into the workspace of the step's graph."""
        if step.moment is Moment.CAPTURE:
            self._plans[step.bs] = self._take_workspace(step.bs * WORKSPACE // 8)
        if step.moment is not Moment.EAGER:
            self.slots = self._plans[step.bs]
        super().write_slots(step)

    def _take_workspace(self, count: int) -> Tensor:
        """Return one that is large enough; the fault: those outgrown stay for good."""
        for workspace in self._workspaces:
            if len(workspace) >= count:
                return workspace
        self._workspaces.append(self.allocate(count))
        return self._workspaces[-1]


def make_attention(memory: DeviceMemory) -> PlannedTorchNative:
    """Make the faulty attention."""
    return PlannedTorchNative(lambda shape: SharingPages(shape, memory))


class TestMemoryByOrder(FaultCase):
    """Workspaces of all sizes fit only if they are shared."""

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
        if torch.cuda.is_available():
            total = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(CAPACITY / total)
        return plant(make_attention, capacity=CAPACITY)

    def test_answers_are_the_references(self) -> None:
        self.run_load()
