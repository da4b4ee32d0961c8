"""Captures every role at every batch size, and replays the graph that a batch fits.

The order per graph is fixed: warm up twice, synchronise, barrier, capture into the shared pool.
The order of batch sizes is the cell's: it is what is measured.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from harness.core.order import capture_sequence
from harness.engine.attention.base import AttentionBackend
from harness.engine.barrier import CaptureBarrier
from harness.engine.config import EngineConfig
from harness.engine.graphs.base import Graph, GraphPool, Outputs
from harness.engine.progress import CaptureProgress
from harness.rank import wire

WARM_UPS = 2


@dataclass(frozen=True, slots=True)
class Role:
    """One kind of step. `inputs` are static, [max_bs, ...] each; `page_table` is one of them.

    `forward(bs)` computes the step on the first `bs` rows of the inputs; what it answers has
    requests along the first dimension. Zero is a valid value of every input of a padding row.
    """

    name: str
    backend: str
    attention: AttentionBackend
    inputs: dict[str, Tensor]
    forward: Callable[[int], Outputs]


class GraphRunner:
    """The captured steps of one rank. Roles share one pool, hence each other's freed blocks."""

    def __init__(
        self,
        config: EngineConfig,
        roles: Sequence[Role],
        pool: GraphPool,
        barrier: CaptureBarrier,
        progress: CaptureProgress,
    ) -> None:
        self.replays: Counter[str] = Counter()
        self.eager = 0
        self._config = config
        self._roles = {role.name: role for role in roles}
        self._pool = pool
        self._barrier = barrier
        self._progress = progress
        self._graphs: dict[tuple[str, int], Graph] = {}

    def capture_all(self) -> None:
        """Capture every role, in order. Raises CaptureBarrierTimeout and CaptureError."""
        began = time.perf_counter()
        order = self._config.resolved_order
        sizes = capture_sequence(order, self._config.cuda_graph_bs, self._config.seed)
        for role in self._roles.values():
            wire.emit(
                "capture_plan",
                requested=self._config.order.value,
                resolved=order.value,
                role=role.name,
                sizes=sizes,
            )
            for bs in self._progress.track(sizes, self._pool.free_bytes):
                self._capture(role, bs)
        wire.emit(
            "captured",
            graphs=self._pool.kind,
            pool_bytes=self._pool.pool_bytes(),
            peak_bytes=self._pool.peak_bytes(),
            seconds=time.perf_counter() - began,
            role_backends={role.name: role.backend for role in self._roles.values()},
        )

    def _capture(self, role: Role, bs: int) -> None:
        began, free_before = time.perf_counter(), self._pool.free_bytes()

        def step() -> Outputs:
            return role.forward(bs)

        self._load(role, {}, bs)
        for _ in range(WARM_UPS):
            self._pool.warm_up(step)
        self._barrier.wait(role.name, bs)
        graph = self._graphs[role.name, bs] = self._pool.capture(step)
        wire.emit(
            "capture",
            role=role.name,
            bs=bs,
            position=len(self._graphs) - 1,
            free_before=free_before,
            free_after=self._pool.free_bytes(),
            pool_bytes=self._pool.pool_bytes(),
            seconds=time.perf_counter() - began,
            addresses=_addresses(role, graph),
        )

    def run(self, name: str, values: Mapping[str, Tensor]) -> Outputs:
        """Run one step on `values`, [raw_bs, ...] each, one per input of the role.

        Replays the smallest captured graph that holds the batch, else runs eagerly. What it
        answers is valid until the next run of any role: roles reuse each other's freed blocks.
        """
        role = self._roles[name]
        raw_bs = len(values["page_table"])
        bs = self._captured_size(name, raw_bs)
        self._load(role, values, raw_bs if bs is None else bs)
        if bs is None:
            self._count_eager(name, raw_bs)
            return role.forward(raw_bs)
        graph = self._graphs[name, bs]
        graph.replay()
        self.replays[f"{name}/{bs}"] += 1
        return {key: output[:raw_bs] for key, output in graph.outputs.items()}

    def _captured_size(self, name: str, raw_bs: int) -> int | None:
        fitting = (bs for role, bs in self._graphs if role == name and bs >= raw_bs)
        return min(fitting, default=None)

    def _load(self, role: Role, values: Mapping[str, Tensor], bs: int) -> None:
        """Fill the static inputs, padding rows included, and prepare attention."""
        for key, value in values.items():
            role.inputs[key][: len(value)].copy_(value)
        self._reset_padding(role, len(values["page_table"]) if values else 0, bs)
        role.attention.prepare(role.inputs["page_table"][:bs])

    def _reset_padding(self, role: Role, raw_bs: int, bs: int) -> None:
        """Rows of an earlier, larger batch must not act: they would write to pages now others'."""
        if raw_bs < bs:
            for buffer in role.inputs.values():
                buffer[raw_bs:bs].zero_()

    def _count_eager(self, name: str, raw_bs: int) -> None:
        if self.eager == 0 and self._graphs:
            largest = max(self._config.cuda_graph_bs)
            wire.emit("note", text=f"{name}: batch {raw_bs} exceeds graph size {largest}: eager")
        self.eager += 1

    def close(self) -> None:
        """Free the graphs, then their pool, and report the replays."""
        self._graphs.clear()
        self._pool.close()
        wire.emit("replays", counts=dict(self.replays), eager=self.eager)


def _addresses(role: Role, graph: Graph) -> dict[str, int]:
    """Where everything stands that outlives the capture."""
    found = {f"input.{key}": buffer.data_ptr() for key, buffer in role.inputs.items()}
    found |= {f"output.{key}": output.data_ptr() for key, output in graph.outputs.items()}
    return found | role.attention.addresses()
