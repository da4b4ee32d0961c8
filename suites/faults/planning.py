"""What several faults are planted in: attention that is planned outside the graph, for each step.

Real libraries work so (FlashInfer's `plan`, FlashAttention's `scheduler_metadata`): the host knows
the lengths of a step, writes index lists for them into a workspace, and the graph reads these. Here
the plan is one flat list of pool slots and the place where each row's part begins. All of it is
sound; a fault changes one line.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from unittest import mock

import torch
from faults.device_memory import DeviceMemory
from torch import Tensor

from harness.engine.attention import torch_native
from harness.engine.attention.base import AttentionShape
from harness.engine.attention.pages import GatheredPages
from harness.engine.attention.torch_native import TorchNative
from harness.engine.cache.pool import LayerCache, find_slots
from harness.engine.capture.arena_memory import ARENA_BYTES
from harness.engine.capture.runner import GraphRunner, Role
from harness.engine.serving import worker


class Moment(Enum):
    """What a plan is made for."""

    CAPTURE = "capture"
    REPLAY = "replay"
    EAGER = "eager"


@dataclass(frozen=True, slots=True)
class Step:
    """One step that is about to run: `positions` [bs, n] int64 on `rows` requests and padding."""

    positions: Tensor
    page_table: Tensor
    rows: int
    moment: Moment
    role: str

    @property
    def bs(self) -> int:
        """Rows, padding included."""
        return len(self.positions)

    @property
    def lengths(self) -> list[int]:
        """Tokens that each row attends to; 1 of a padding row."""
        lengths: list[int] = (self.positions.amax(-1) + 1).tolist()
        return lengths


class PlannedPages(GatheredPages):
    """Pages gathered by a plan: `slots`, all rows' one after the other, and `starts`."""

    def __init__(self, shape: AttentionShape, memory: DeviceMemory) -> None:
        super().__init__(shape)
        self.shape = shape
        self.memory = memory
        self.is_planned = False
        self.slots = self.allocate(shape.max_bs * self.width)
        self.starts = self.allocate(shape.max_bs)

    def allocate(self, count: int) -> Tensor:
        """Return `count` numbers of device memory."""
        return self.memory.empty(count, dtype=torch.int64, device=self.shape.device)

    def prepare(self, page_table: Tensor) -> None:
        """Prepare a step that has no plan."""
        self.is_planned = False
        super().prepare(page_table)

    def plan(self, step: Step) -> None:
        """Write the step's index lists."""
        self.is_planned = True
        self.write_starts(step)
        self.write_slots(step)

    def write_starts(self, step: Step) -> None:
        """Let each row begin where the one before ends."""
        begins = torch.tensor([0, *step.lengths[:-1]]).cumsum(0)
        self.starts[: step.bs] = begins.to(self.starts.device)

    def write_slots(self, step: Step) -> None:
        """Write all rows' slots."""
        packed = self.pack_slots(step)
        self.slots[: len(packed)] = packed

    def pack_slots(self, step: Step) -> Tensor:
        """Return the slots of all rows' tokens, one after the other."""
        columns = self._columns.expand(step.bs, -1)
        index = find_slots(step.page_table[: step.bs], columns, self._page_size)
        parts = [row[:length] for row, length in zip(index, step.lengths, strict=True)]
        return torch.cat(parts)

    def read(self, rows: int, cache: LayerCache) -> tuple[Tensor, Tensor, None]:
        """Return keys and values by the plan; past a row's end other rows' slots, which are hidden.

        Loads are guarded, as a kernel's are: no index leads out of the lists or the KV pool.
        """
        if not self.is_planned:
            return super().read(rows, cache)
        slots = self.find_planned(rows).clamp(0, len(cache.keys) - 1).view(-1)
        keys, values = (
            pool.index_select(0, slots).view(rows, self.width, *pool.shape[1:])
            for pool in (cache.keys, cache.values)
        )
        return keys, values, None

    def find_planned(self, rows: int) -> Tensor:
        """Return the planned slot of each row's columns, [rows, width]."""
        slots = self.slots
        places = (self.starts[:rows].unsqueeze(1) + self._columns).clamp(0, len(slots) - 1)
        return slots.index_select(0, places.view(-1))


class PlannedTorchNative(TorchNative):
    """TorchNative over planned pages. `make_pages`: the fault's."""

    def __init__(self, make_pages: Callable[[AttentionShape], PlannedPages]) -> None:
        self._make_pages = make_pages

    def init_static_state(self, shape: AttentionShape) -> None:
        """As TorchNative, with pages that are planned."""
        super().init_static_state(shape)
        self.planned = self._pages = self._make_pages(shape)

    def plan(self, step: Step) -> None:
        """Plan one step."""
        self.planned.plan(step)


class PlanningRunner(GraphRunner):
    """A runner that lets the attention plan each step with its lengths."""

    device_memory: DeviceMemory
    """The engine's, from `plant`."""

    def _load(self, role: Role, values: Mapping[str, Tensor], bs: int) -> None:
        super()._load(role, values, bs)
        plan = getattr(role.attention, "plan", None)
        if plan is not None:
            rows = len(values["page_table"]) if values else 0
            positions, table = (role.inputs[name][:bs] for name in ("positions", "page_table"))
            moment = self._tell_moment(role, bs, bool(values))
            plan(Step(positions, table, rows, moment, role.name))

    def _tell_moment(self, role: Role, bs: int, has_values: bool) -> Moment:
        if not self._config.graphs or (has_values and (role.name, bs) not in self.graphs):
            return Moment.EAGER
        return Moment.REPLAY if has_values else Moment.CAPTURE


@contextlib.contextmanager
def plant(
    make_attention: Callable[[DeviceMemory], TorchNative],
    runner: type[PlanningRunner] = PlanningRunner,
    capacity: int = ARENA_BYTES,
) -> Iterator[None]:
    """Let the next engine be built with this attention and this runner."""
    memory = DeviceMemory(capacity)
    bound = type(runner.__name__, (runner,), {"device_memory": memory})
    with (
        memory.patch(),
        mock.patch.object(torch_native, "TorchNative", lambda: make_attention(memory)),
        mock.patch.object(worker, "GraphRunner", bound),
    ):
        yield
