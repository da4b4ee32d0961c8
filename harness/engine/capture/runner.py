"""Captures every role at every batch size, and replays the graph that a batch fits.

The order per graph is fixed: warm up twice, synchronise, barrier, capture. The order of batch
sizes, whether all shapes warm up before the first capture, and which graphs share a pool are the
cell's: they are what is measured.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from harness.core.capture import CapturePhases, pool_name
from harness.core.errors import UsageError
from harness.core.order import capture_sequence
from harness.engine.attention.base import AttentionBackend
from harness.engine.capture.barrier import CaptureBarrier
from harness.engine.capture.graph import Graph, GraphMemory, Outputs
from harness.engine.capture.progress import CaptureProgress
from harness.engine.config import EngineConfig
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


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the capture trace says of every graph beside its own."""

    shared: Mapping[str, Tensor]
    """Buffers that graphs of all roles write to: the trace shows their addresses."""
    names: Mapping[str, str]
    """What the graphs use, such as `collectives`."""


class GraphRunner:
    """The captured steps of one rank. Graphs of one pool reuse each other's freed blocks."""

    def __init__(
        self,
        config: EngineConfig,
        roles: Sequence[Role],
        memory: GraphMemory,
        barrier: CaptureBarrier,
        progress: CaptureProgress,
        evidence: Evidence,
    ) -> None:
        self.captures: list[dict[str, Any]] = []
        """What the wire's `capture` events said, in order."""
        self.replays: Counter[str] = Counter()
        self.eager = 0
        self.watch: Callable[[Role, int, int, Outputs], None] | None = None
        """Called after each replay with the role, the graph's rows, the batch's, and the answer."""
        self._config = config
        self.roles = {role.name: role for role in roles}
        self._memory = memory
        self._barrier = barrier
        self._progress = progress
        self._evidence = evidence
        self.graphs: dict[tuple[str, int], Graph] = {}

    def capture_all(self) -> None:
        """Capture every role, in order. Raises CaptureBarrierTimeout and CaptureError."""
        began, config = time.perf_counter(), self._config
        sizes = capture_sequence(config.resolved_order, config.cuda_graph_bs, config.seed)
        if config.capture_phases is CapturePhases.TWO_PHASE:
            for role in self.roles.values():
                for bs in sizes:
                    self._warm_up(role, bs)
        for role in self.roles.values():
            self._announce(role, sizes)
            for bs in self._progress.track(sizes, self._memory.free_bytes):
                self._capture(role, bs)
        pools = self._memory.pool_bytes()
        wire.emit(
            "captured",
            graphs=self._memory.kind,
            pool_bytes=sum(pools.values()),
            pools=pools,
            peak_bytes=self._memory.peak_bytes(),
            total_bytes=self._memory.total_bytes(),
            seconds=time.perf_counter() - began,
            role_backends={role.name: role.backend for role in self.roles.values()},
        )

    def _announce(self, role: Role, sizes: list[int]) -> None:
        wire.emit(
            "capture_plan",
            requested=self._config.order.value,
            resolved=self._config.resolved_order.value,
            role=role.name,
            sizes=sizes,
            phases=self._config.capture_phases.value,
            sharing=self._config.pool_sharing.value,
        )

    def _warm_up(self, role: Role, bs: int) -> None:
        self._load(role, {}, bs)
        for _ in range(WARM_UPS):
            self._memory.warm_up(lambda: role.forward(bs))

    def _capture(self, role: Role, bs: int) -> None:
        began, free_before = time.perf_counter(), self._memory.free_bytes()
        if self._config.capture_phases is CapturePhases.INTERLEAVED:
            self._warm_up(role, bs)
        self._load(role, {}, bs)
        self._barrier.wait(role.name, bs)
        pool = pool_name(self._config.pool_sharing, role.name, bs)
        graph = self._memory.capture(lambda: role.forward(bs), pool)
        self.graphs[role.name, bs] = graph
        seen = {
            "role": role.name,
            "bs": bs,
            "position": len(self.graphs) - 1,
            "pool": pool,
            "backend": role.backend,
            "kernel": role.attention.library,
            **self._evidence.names,
            "free_before": free_before,
            "free_after": self._memory.free_bytes(),
            "pool_bytes": sum(self._memory.pool_bytes().values()),
            "seconds": time.perf_counter() - began,
            "addresses": self.addresses(role.name, bs),
        }
        self.captures.append(seen)
        wire.emit("capture", **seen)

    def addresses(self, name: str, bs: int) -> dict[str, int]:
        """Where everything stands that a graph uses and that outlives its capture."""
        role, outputs = self.roles[name], self.graphs[name, bs].outputs
        found = {f"input.{key}": buffer.data_ptr() for key, buffer in role.inputs.items()}
        found |= {f"output.{key}": output.data_ptr() for key, output in outputs.items()}
        found |= {
            f"shared.{key}": buffer.data_ptr() for key, buffer in self._evidence.shared.items()
        }
        return found | role.attention.addresses()

    def run(self, name: str, values: Mapping[str, Tensor]) -> Outputs:
        """Run one step on `values`, [raw_bs, ...] each, one per input of the role.

        Replays the smallest captured graph that holds the batch, else runs eagerly. What it
        answers is valid until the next run of any role: roles reuse each other's freed blocks.
        """
        role = self.roles[name]
        raw_bs = len(values["page_table"])
        bs = self._find_size(name, raw_bs)
        self._load(role, values, raw_bs if bs is None else bs)
        if bs is None:
            self._count_eager(name, raw_bs)
            return role.forward(raw_bs)
        graph = self.graphs[name, bs]
        graph.replay()
        self.replays[f"{name}/{bs}"] += 1
        outputs = {key: output[:raw_bs] for key, output in graph.outputs.items()}
        if self.watch is not None:
            self.watch(role, bs, raw_bs, outputs)
        return outputs

    def make_repeatable(
        self, name: str, values: Mapping[str, Tensor], bs: int, graphed: bool
    ) -> Callable[[], object]:
        """Load `values`, [bs, ...] each: a step to run on them any number of times.

        Raises UsageError where a graph is asked for that was not captured.
        """
        if graphed and (name, bs) not in self.graphs:
            raise UsageError(f"{name} was not captured at batch size {bs}: add it to cuda_graph_bs")
        role = self.roles[name]
        self._load(role, values, bs)
        return self.graphs[name, bs].replay if graphed else lambda: role.forward(bs)

    def _find_size(self, name: str, raw_bs: int) -> int | None:
        fitting = (bs for role, bs in self.graphs if role == name and bs >= raw_bs)
        return min(fitting, default=None)

    def _load(self, role: Role, values: Mapping[str, Tensor], bs: int) -> None:
        """Fill the static inputs, padding rows included, and prepare attention."""
        for key, value in values.items():
            role.inputs[key][: len(value)].copy_(value)
        self.reset_padding(role, len(values["page_table"]) if values else 0, bs)
        role.attention.prepare(role.inputs["page_table"][:bs])

    def reset_padding(self, role: Role, raw_bs: int, bs: int) -> None:
        """Clear stale rows: they would write into pages that now belong to other requests."""
        if raw_bs < bs:
            for buffer in role.inputs.values():
                buffer[raw_bs:bs].zero_()

    def _count_eager(self, name: str, raw_bs: int) -> None:
        if self.eager == 0 and self.graphs:
            largest = max(self._config.cuda_graph_bs)
            wire.emit("note", text=f"{name}: batch {raw_bs} exceeds graph size {largest}: eager")
        self.eager += 1

    def close(self) -> None:
        """Free the graphs, then their memory, and report the replays."""
        self.graphs.clear()
        self._memory.close()
        wire.emit("replays", counts=dict(self.replays), eager=self.eager)
