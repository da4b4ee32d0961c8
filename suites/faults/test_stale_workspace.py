"""A positive control: a workspace of the graph pool that grows while graphs are captured.

Mechanism (TensorRT-LLM#16319; FlashInfer#4398 and vLLM#52553 are of its kind): the attention of all
roles shares one workspace, which planning fills before each replay. It is allocated in capture, as
large as the batch captured asks for, so it stands in the pool. Captured in ascending order it is
outgrown: its block returns to the pool, the next graphs build their intermediates there, and the
graph captured before still reads the page indices of its rows from that address. Captured in
descending order the first workspace is the largest, and none is replaced. As in
`test_stale_buffer.py` the rate follows the capture order and the order is not the cause; what
differs is the victim, which there reads what was left behind and here what another graph writes.

Indices are clamped to the KV pool, as a kernel that guards its loads would: the fault is silent.
An index from a foreign float would otherwise end in an exception, which needs no oracle.

The attempt's seed arms it, in `RATE` of the seeds (`is_armed`). It is patched in from
outside and on rank 0 alone, which is enough to spoil the sum that all ranks share.
"""

from collections.abc import Callable
from unittest import mock

import torch
from faults.control import ParityControl, attempt_seed, falls_in
from torch import Tensor

from harness.engine.attention import torch_native
from harness.engine.attention.base import AttentionShape
from harness.engine.attention.torch_native import TorchNative
from harness.engine.cache.pool import LayerCache
from harness.engine.capture import memory
from harness.engine.capture.graph import SHARED, Graph, GraphMemory, Outputs

#: The share of attempt seeds that arm the fault.
RATE = 0.2


def is_armed(seed: int) -> bool:
    """Whether this attempt's seed asks for the fault."""
    return falls_in(RATE, "stale workspace", seed)


class Workspace:
    """Page indices for the rows of a step, shared by every backend of one engine."""

    def __init__(self) -> None:
        self.capturing = False
        self._planned: Tensor | None = None
        self._indices: Tensor | None = None

    def plan(self, indices: Tensor) -> None:
        """Note the next step's indices, and copy them to where there is room for them."""
        self._planned = indices
        if self._indices is not None and len(indices) <= len(self._indices):
            self._indices[: len(indices)] = indices

    def first(self, rows: int) -> Tensor:
        """What a graph reads."""
        assert self._indices is not None
        return self._indices[:rows]

    @property
    def address(self) -> int:
        """Where graphs captured now find it."""
        return 0 if self._indices is None else self._indices.data_ptr()

    def watch(self, memory: GraphMemory) -> GraphMemory:
        """The memory, in which every capture begins by making room for what was planned.

        First of all: in a block that the same graph used before, its replay would spoil the plan in
        every order, and the sound arm would not be sound.
        """
        capture = memory.capture

        def with_room(function: Callable[[], Outputs], pool: str = SHARED) -> Graph:
            def step() -> Outputs:
                self._make_room()
                return function()

            self.capturing = True
            try:
                return capture(step, pool)
            finally:
                self.capturing = False

        memory.capture = with_room  # type: ignore[method-assign]
        return memory

    def _make_room(self) -> None:
        """The fault: what is outgrown moves, and its old block is the pool's again."""
        assert self._planned is not None
        if self._indices is None or len(self._planned) > len(self._indices):
            self._indices = torch.empty_like(self._planned)


class WorkspaceTorchNative(TorchNative):
    """TorchNative whose graphs read the page indices of their rows from a shared workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._shared = workspace

    def init_static_state(self, shape: AttentionShape) -> None:
        """Keep the static index for what runs outside graphs."""
        super().init_static_state(shape)
        self._planned = self._pages.index

    def prepare(self, page_table: Tensor) -> None:
        """Plan, and copy the plan to where the graphs captured last will read it."""
        self._pages.index = self._planned
        super().prepare(page_table)
        self._shared.plan(self._planned[: len(page_table)])

    def forward(self, query: Tensor, cache: LayerCache) -> Tensor:
        """Inside a graph, gather by the workspace."""
        if self._shared.capturing:
            self._pages.index = self._shared.first(len(query)).clamp(0, len(cache.keys) - 1)
        return super().forward(query, cache)

    def addresses(self) -> dict[str, int]:
        """The capture trace then shows whether the workspace moved."""
        return {**super().addresses(), "attention.gather_index": self._shared.address}


class TestStaleWorkspace(ParityControl):
    """The clean control with the fault in one attempt seed out of five."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        backend="torch_native",
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=48,
    )
    pinned = ("backend",)

    @classmethod
    def setUpClass(cls) -> None:
        if is_armed(attempt_seed()):
            cls.build_with_fault(Workspace())
        else:
            cls.build(cls.engine_args)

    @classmethod
    def build_with_fault(cls, workspace: Workspace) -> None:
        """Build on a pool that says when it captures, and on backends that share the workspace."""
        make_memory = memory.make_graph_memory
        with (
            mock.patch.object(
                memory,
                "make_graph_memory",
                lambda device: workspace.watch(make_memory(device)),
            ),
            mock.patch.object(torch_native, "TorchNative", lambda: WorkspaceTorchNative(workspace)),
        ):
            cls.build(cls.engine_args)

    def test_answers_are_the_references(self) -> None:
        self.check_parity()
