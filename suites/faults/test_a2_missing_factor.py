"""A2: a buffer of the graph path that lacks the factor topk.

Mechanism (sglang#27338, #27460, tracked in #26340): the index list of the draft steps holds each
row's slots once per branch, and the buffer that graphs read is as large as if there were one
branch. Eager runs allocate it with the factor. A batch that is long enough writes past the end,
over what the allocator placed next. Usually silent: wrong but possible draft tokens.
"""

import contextlib

import torch
from faults.case import FaultCase
from faults.device_memory import DeviceMemory, view_unchecked
from faults.planning import Moment, PlannedPages, PlannedTorchNative, Step, plant
from torch import Tensor

from harness.engine.attention.base import AttentionShape

truth = dict(
    fault="A2",
    kind="wrong-output",
    factor="env:FAULT_LOAD",
    loud=False,
    mechanism="undersized-buffer",
    amplifier="canary",
)
axes = dict(FAULT_LOAD=["long", "short"], order=["ascending", "descending"])

TOPK = 4


class BranchedPages(PlannedPages):
    """Pages with a list of slots per branch."""

    def __init__(self, shape: AttentionShape, memory: DeviceMemory) -> None:
        super().__init__(shape, memory)
        self.branches = TOPK if shape.branch_columns else 1
        # The fault: `slots`, allocated before, has no factor for the branches.
        self.columns = self.allocate(self.width)
        self.columns.copy_(torch.arange(self.width))

    def write_starts(self, step: Step) -> None:
        """Let each row begin where the branches of the one before end."""
        super().write_starts(step)
        self.starts[: step.bs] *= self.count_copies(step)

    def pack_slots(self, step: Step) -> Tensor:
        """Return each row's slots once per branch."""
        parts = torch.split(super().pack_slots(step), step.lengths)
        return torch.cat([part.repeat(self.count_copies(step)) for part in parts])

    def write_slots(self, step: Step) -> None:
        """Write as a kernel does, which trusts the size that it was told."""
        packed = self.pack_slots(step)
        if step.moment is Moment.EAGER:
            self.slots = self.allocate(len(packed))
        view_unchecked(self.slots, len(packed)).copy_(packed)

    def count_copies(self, step: Step) -> int:
        """Return how often a row's slots are listed: once per branch of the drafts."""
        return self.branches if step.role == "draft" else 1


class BranchedTorchNative(PlannedTorchNative):
    """Attention that hides what lies past a row's end by a list of column numbers."""

    def init_static_state(self, shape: AttentionShape) -> None:
        """Allocate; the column numbers stand behind the index list."""
        super().init_static_state(shape)
        assert isinstance(self.planned, BranchedPages)
        self._columns = self.planned.columns


def make_attention(memory: DeviceMemory) -> PlannedTorchNative:
    """Make the faulty attention."""
    return BranchedTorchNative(lambda shape: BranchedPages(shape, memory))


class TestMissingFactor(FaultCase):
    """Long batches of drafts write past the index list."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        backend="torch_native",
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=32,
        prefix_cache=False,
        spec_steps=2,
        spec_topk=4,
    )
    batches = 6
    #: Of a tree two drafts deep and the bonus token, more than 2.8 are accepted.
    least_accepted = 2.5
    pinned = ("backend", "speculative")

    @classmethod
    def plant(cls) -> contextlib.AbstractContextManager[None]:
        return plant(make_attention)

    def test_drafts_are_accepted(self) -> None:
        """Batch by batch, as one that is hit late would be lost in the mean."""
        for mean in self.answer_batches():
            self.check_acceptance(mean)
        self.check_graphs()
