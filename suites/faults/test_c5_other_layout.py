"""C5: the graph lays its rows out otherwise than the plan of a replay does.

Mechanism (sglang#21987, sglang#27545): the runner lays out so many numbers per request and the
graph was built with another stride. One request alone begins at 0 either way; the second one and
all after it are read from the wrong place. Eager runs use the plan's own stride.
"""

import contextlib

import torch
from faults.case import FaultCase
from faults.device_memory import DeviceMemory
from faults.planning import Moment, PlannedPages, PlannedTorchNative, Step, plant
from torch import Tensor

truth = dict(
    fault="C5",
    kind="wrong-output",
    factor="max_running",
    loud=False,
    mechanism="layout-mismatch",
    amplifier="",
)
axes = dict(max_running=[4, 1], order=["ascending", "descending"])


class StridedPages(PlannedPages):
    """Every row's part is as long as the longest row, a stride that graphs take at capture."""

    stride = 0

    def write_starts(self, step: Step) -> None:
        """Note the stride; captured is the widest one, so that every row fits."""
        self.stride = self.width if step.moment is Moment.CAPTURE else max(step.lengths)

    def pack_slots(self, step: Step) -> Tensor:
        """Return all rows' slots at the stride of this step."""
        parts = torch.split(super().pack_slots(step), step.lengths)
        rows = [torch.nn.functional.pad(part, (0, self.stride - len(part))) for part in parts]
        return torch.cat(rows)

    def find_planned(self, rows: int) -> Tensor:
        """The fault: the stride is a Python number, and replays pack by another one."""
        starts = torch.arange(rows, device=self._columns.device) * self.stride
        places = (starts.unsqueeze(1) + self._columns).clamp(0, len(self.slots) - 1)
        return self.slots.index_select(0, places.view(-1))


def make_attention(memory: DeviceMemory) -> PlannedTorchNative:
    """Make the faulty attention."""
    return PlannedTorchNative(lambda shape: StridedPages(shape, memory))


class TestOtherLayout(FaultCase):
    """Rows after the first one read others' pages."""

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
