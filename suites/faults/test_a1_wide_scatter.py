"""A1: a scatter that is wider than its row.

Mechanism (sglang#27360, the fault behind #26532): each draft step has a page table of its own,
with a row per branch and one column more than the step has locations. Planning scatters into it the
pages of all locations that the branch will ever have. While these lie on few pages nothing is seen.
A branch that spans more pages writes past its row: into the next branch's, and from the last row
over what stands next. With pages of one slot the list is cut to the row first, and
without branches there is no such table.

Tables and what each graph keeps for itself are cut from one workspace, as libraries do. What
stands next is what the first graph captured keeps, so the capture order picks the victim: the graph
of the largest batch, or of the smallest. The write is the same in all orders.
"""

import contextlib
import functools
import itertools

import torch
from faults.case import FaultCase
from faults.device_memory import DeviceMemory, view_unchecked
from faults.planning import Moment, PlannedPages, PlannedTorchNative, Step, plant
from torch import Tensor

from harness.engine.attention.base import AttentionShape, Branches

truth = dict(
    fault="A1",
    kind="wrong-output",
    factor="page_size",
    loud=False,
    mechanism="out-of-bounds-write",
    amplifier="",
)
axes = dict(page_size=[16, 1], order=["descending", "ascending"])
#: The order picks the victim, and some victims hide it.
options = dict(also_follows=["order"])

TOPK = 8

#: Numbers in the workspace, and where parts of it may begin: at multiples of 512 bytes.
WORKSPACE, ALIGNED = 2048, 64


class Workspace:
    """One block of device memory, from which all attention of an engine takes its parts."""

    def __init__(self, memory: DeviceMemory) -> None:
        self._memory = memory
        self._numbers: Tensor | None = None
        self._used = 0

    def cut(self, count: int, device: torch.device) -> Tensor:
        """Return the next `count` numbers."""
        if self._numbers is None:
            self._numbers = self._memory.empty(WORKSPACE, dtype=torch.int64, device=device)
        start = self._used
        self._used += -(-count // ALIGNED) * ALIGNED
        return self._numbers[start : start + count]


@functools.cache
def open_workspace(memory: DeviceMemory) -> Workspace:
    """Return the workspace of an engine."""
    return Workspace(memory)


class ExpandedPages(PlannedPages):
    """Pages with a table per draft step, [branches, decode length + 1] pages, the longest first."""

    def __init__(self, shape: AttentionShape, memory: DeviceMemory) -> None:
        super().__init__(shape, memory)
        self.role = ""
        self.steps = shape.branch_columns - 1
        self._workspace_of_all = open_workspace(memory)
        self.tables = {
            length: self._cut(shape.max_bs * TOPK * (length + 1))
            for length in reversed(range(1, self.steps))
        }
        self._rows_of: dict[int, Tensor] = {}

    def _cut(self, count: int) -> Tensor:
        return self._workspace_of_all.cut(count, self.shape.device)

    def plan(self, step: Step) -> None:
        """Plan the step, and of drafts the table of each step to come."""
        self.role = step.role
        if step.moment is Moment.CAPTURE and step.bs not in self._rows_of:
            self._rows_of[step.bs] = self._cut(step.bs).copy_(torch.arange(step.bs))
        super().plan(step)
        if step.role == "draft":
            for length in self.tables:
                self.scatter(step, length)

    def scatter(self, step: Step, length: int) -> None:
        """Write one step's table as a kernel does, which trusts the sizes that it was told."""
        is_sound = step.moment is Moment.EAGER or self._page_size == 1
        # The fault: a list of all steps' locations for a row of `length` + 1 columns.
        held = self.list_held(step.positions, length if is_sound else self.steps)
        pages = step.page_table.unsqueeze(1).expand(-1, TOPK, -1).gather(2, held).flatten(0, 1)
        rows = torch.arange(len(pages), device=pages.device).unsqueeze(1) * (length + 1)
        places = rows + count_changes(held).flatten(0, 1)
        written = view_unchecked(self.tables[length], int(places.max()) + 1)
        # Backwards, so that each row's own entries stay, as if rows were written in order.
        for place, page in zip(reversed(places.unbind(1)), reversed(pages.unbind(1)), strict=True):
            written[place] = page

    def list_held(self, first: Tensor, count: int) -> Tensor:
        """Return which of its row's pages hold a branch's first `count` locations.

        first: [bs, 1], the first branch's first position. Returns [bs, TOPK, count].
        """
        branches = torch.arange(TOPK, device=first.device).unsqueeze(1)
        steps = torch.arange(count, device=first.device) * TOPK
        return (first.unsqueeze(2) + branches + steps) // self._page_size

    def find_writes(self, first: Tensor, slots: Tensor, length: int) -> Tensor:
        """Return the slots [bs, TOPK] of a step's own keys and values, by the step's table."""
        table = self.tables[length][: slots.numel() * (length + 1)].view(*slots.shape, length + 1)
        last = count_changes(self.list_held(first, length))[:, :, -1:]
        return table.gather(2, last).squeeze(2) * self._page_size + slots % self._page_size

    def find_planned(self, rows: int) -> Tensor:
        """As planned, by the row numbers that each graph has for itself, written once."""
        starts = self.starts[:rows]
        if rows in self._rows_of:
            numbers = self._rows_of[rows].clamp(0, len(self.starts) - 1)
            starts = self.starts.index_select(0, numbers)
        places = (starts.unsqueeze(1) + self._columns).clamp(0, len(self.slots) - 1)
        return self.slots.index_select(0, places.view(-1))


def count_changes(pages: Tensor) -> Tensor:
    """Return how many other pages come before each along the last dimension."""
    changes = (pages[..., 1:] != pages[..., :-1]).cumsum(-1)
    return torch.nn.functional.pad(changes, (1, 0))


class ExpandedTorchNative(PlannedTorchNative):
    """Attention whose draft steps find their slots by page tables of their own."""

    planned: ExpandedPages

    def init_static_state(self, shape: AttentionShape) -> None:
        """Allocate; the draft steps come one after the other, again and again."""
        super().init_static_state(shape)
        self._lengths = itertools.cycle(range(1, self.planned.steps))

    def bind_branches(self, prefix: Tensor, writes: Tensor, branches: Branches) -> None:
        """Let a draft step write where its table says."""
        if self.planned.role == "draft":
            length = next(self._lengths)
            writes = self.planned.find_writes(prefix.unsqueeze(1), writes, length)
        super().bind_branches(prefix, writes, branches)


def make_attention(memory: DeviceMemory) -> PlannedTorchNative:
    """Make the faulty attention."""
    return ExpandedTorchNative(lambda shape: ExpandedPages(shape, memory))


class TestWideScatter(FaultCase):
    """Long branches of a full batch write past the page tables."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        backend="torch_native",
        cuda_graph_bs=[2, 4],
        max_running=4,
        max_context=32,
        page_size=16,
        prefix_cache=False,
        spec_steps=4,
        spec_topk=8,
    )
    pinned = ("backend", "speculative")

    @classmethod
    def plant(cls) -> contextlib.AbstractContextManager[None]:
        return plant(make_attention)

    def test_answers_are_the_references(self) -> None:
        self.run_load()
