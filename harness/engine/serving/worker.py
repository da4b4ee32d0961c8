"""One rank's share of an engine in two states: loaded, then running.

`load` raises every error that the user can mend and needs no other rank; `LoadedWorker.start` is
collective: it joins the other ranks and captures.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from harness.core.errors import UsageError
from harness.engine.attention.factories import check_fits, make_backend
from harness.engine.capture import memory
from harness.engine.capture.barrier import CaptureBarrier
from harness.engine.capture.progress import CaptureProgress
from harness.engine.capture.runner import Evidence, GraphRunner
from harness.engine.config import EngineConfig
from harness.engine.distributed import process_group
from harness.engine.distributed.channels import Channels
from harness.engine.distributed.rendezvous import open_store
from harness.engine.distributed.shared_memory import SharedMemory
from harness.engine.distributed.tensor_parallel import TensorParallel
from harness.engine.model import checkpoint
from harness.engine.model.shape import ModelConfig, check_draft, check_split, read_config
from harness.engine.serving.commands import Start
from harness.engine.serving.draft_steps import DraftSteps
from harness.engine.serving.models import Builder, DraftedModels, RoleBackends, TargetModel
from harness.engine.serving.replay_probe import ReplayProbe
from harness.engine.serving.results import Footprint
from harness.engine.serving.running_worker import RunningWorker
from harness.engine.serving.steps import TargetSteps
from harness.rank import wire


@dataclass(frozen=True, slots=True)
class LoadedDraft:
    """The draft head's shape and this rank's weights of it."""

    model: ModelConfig
    weights: checkpoint.DraftWeights


@dataclass(frozen=True, slots=True)
class LoadedWorker:
    """Weights and backends of one rank, checked, before any other rank is needed."""

    config: EngineConfig
    channels: Channels
    environ: Mapping[str, str]
    device: torch.device
    model: ModelConfig
    weights: checkpoint.TargetWeights
    draft: LoadedDraft | None
    backends: RoleBackends

    @torch.inference_mode()
    def start(self, serial: int, start: Start) -> RunningWorker:
        """Join the group of this process's `serial`-th engine, then capture.

        Raises CaptureBarrierTimeout, CaptureError, and torch's
        errors (out of memory among them); the group is left before.
        """
        if self.device.type == "cpu":
            # Ranks share the cores; one thread each also keeps sums in one order.
            torch.set_num_threads(1)
        torch.manual_seed(self.config.seed)
        group = self._join(serial, start)
        try:
            return self._run_on(group)
        except BaseException:
            wire.emit("phase", name="teardown")
            group.close()
            raise

    def _join(self, serial: int, start: Start) -> TensorParallel:
        rank, size = self.channels.rank, self.channels.size
        if size == 1:
            return TensorParallel()
        timeout_s = self.config.collective_timeout_s
        if start.shared_memory:
            shared = SharedMemory(rank, size, start.shared_memory, timeout_s)
            return TensorParallel(rank, size, shared)
        if start.keeps_group:
            return TensorParallel(rank, size, process_group.take_kept())
        process_group.drop_kept()
        store = open_store(self.environ, serial, rank, size)
        group = process_group.ProcessGroup(rank, size, self.device, store, timeout_s)
        return TensorParallel(rank, size, group)

    def _run_on(self, group: TensorParallel) -> RunningWorker:
        builder = Builder(self.config, self.backends, group, self.device)
        models = builder.build_target(self.model, self.weights)
        if self.draft is not None:
            models = builder.add_draft(models, self.draft.model, self.draft.weights)
        runner = self._make_runner(builder, models)
        try:
            if self.config.graphs:
                wire.emit("phase", name="capture")
                runner.capture_all()
            return self._make_worker(models, runner, builder.group)
        except BaseException:
            runner.close()
            raise

    def _make_runner(self, builder: Builder, models: TargetModel) -> GraphRunner:
        config, channels = self.config, self.channels
        roles = builder.list_roles(models)
        shared = {"logits": models.target.reserve_logits(config.logit_rows)}
        barrier = CaptureBarrier(channels.rank, channels.barrier, config.barrier_timeout_s)
        progress = CaptureProgress(channels.rank, self.environ)
        graphs = memory.make_graph_memory(self.device)
        named = {"collectives": builder.group.name}
        return GraphRunner(config, roles, graphs, barrier, progress, Evidence(shared, named))

    def _make_worker(
        self, models: TargetModel, runner: GraphRunner, group: TensorParallel
    ) -> RunningWorker:
        config, prefill = self.config, self.backends.prefill
        steps = TargetSteps(config, models.target, prefill, runner, self.device)
        probe = ReplayProbe(config, runner, self.model.vocab_size)
        operations = steps.operations | probe.operations
        if isinstance(models, DraftedModels):
            operations |= DraftSteps(config, models, prefill, runner, steps).operations
        footprint = self._measure_footprint(models)
        return RunningWorker(self.model, runner, probe, footprint, operations, group)

    def _measure_footprint(self, models: TargetModel) -> Footprint:
        return Footprint(
            weights=checkpoint.count_bytes(self.weights),
            embedding=checkpoint.count_bytes(self.weights.embedding),
            draft_weights=checkpoint.count_bytes(self.draft.weights if self.draft else None),
            kv=models.kv_bytes,
        )


def load(config: EngineConfig, channels: Channels, environ: Mapping[str, str]) -> LoadedWorker:
    """Check a configuration and read this rank's weights. Raises UsageError."""
    model = read_config(config.model)
    check_split(model, channels.size, config.model)
    _check_limits(config, model)
    backends = RoleBackends(
        prefill=make_backend(config.prefill_backend, config, model.head_dim),
        decode=make_backend(config.decode_backend, config, model.head_dim),
        draft=make_backend(config.draft_backend, config, model.head_dim),
    )
    device = _pick_device(config.device, environ)
    shard = checkpoint.Shard(
        channels.rank, channels.size, device, getattr(torch, config.dtype), config.load_format
    )
    weights = checkpoint.load_target(config.model, model, shard)
    draft = _load_draft(config, model, shard) if config.speculative else None
    return LoadedWorker(config, channels, environ, device, model, weights, draft, backends)


def _check_limits(config: EngineConfig, model: ModelConfig) -> None:
    if config.max_context > model.max_position_embeddings:
        raise UsageError(
            f"max_context {config.max_context} exceeds max_position_embeddings "
            f"{model.max_position_embeddings} of {config.model!r}: lower max_context"
        )
    if config.spec.topk > model.vocab_size:
        raise UsageError(
            f"spec_topk {config.spec.topk} exceeds vocab_size {model.vocab_size} of "
            f"{config.model!r}: lower it"
        )


def _load_draft(config: EngineConfig, target: ModelConfig, shard: checkpoint.Shard) -> LoadedDraft:
    folder = str(config.draft_model)
    model = read_config(folder)
    check_draft(target, model, folder)
    check_split(model, shard.size, folder)
    check_fits(config.draft_backend, config, model.head_dim)
    return LoadedDraft(model, checkpoint.load_draft(folder, model, shard))


def _pick_device(name: str, environ: Mapping[str, str]) -> torch.device:
    """Return this rank's device: its only visible one, or that of its local rank."""
    if name == "cpu":
        return torch.device("cpu")
    visible = torch.cuda.device_count()
    index = int(environ.get("LOCAL_RANK", "0")) if visible > 1 else 0
    if index >= visible:
        raise UsageError(f"device 'cuda': {visible} CUDA devices are visible here; use cpu")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)
