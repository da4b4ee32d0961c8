"""One rank's share of an engine: loaded, started, told what to run, and taken down again."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from harness.core.errors import UsageError
from harness.engine import checkpoint, parallel
from harness.engine.attention import check_fits, make_backend
from harness.engine.attention.base import AttentionShape
from harness.engine.barrier import CaptureBarrier
from harness.engine.channels import Channels
from harness.engine.config import EngineConfig, ModelConfig
from harness.engine.eagle import EagleHead
from harness.engine.graphs.base import GraphMemory
from harness.engine.kv import LayerCache, layers_of, zeroed_pool
from harness.engine.model import Llama, Rotary
from harness.engine.probe import Probe
from harness.engine.progress import CaptureProgress
from harness.engine.results import Footprint
from harness.engine.roles import draft_extend_role, draft_role, target_role, verify_tree_role
from harness.engine.runner import GraphRunner, Role
from harness.engine.steps import Steps
from harness.rank import wire

StepResult = Tensor | tuple[Tensor, ...] | None


class Worker:
    """Built in two halves: `load` meets every error of the user's, `start` needs all ranks."""

    model: ModelConfig
    probe: Probe

    def __init__(
        self, config: EngineConfig, channels: Channels, environ: Mapping[str, str]
    ) -> None:
        self.config = config
        self.runner: GraphRunner | None = None
        self._channels = channels
        self._environ = environ
        self._steps: Steps | None = None
        self._caches: list[LayerCache] = []

    def load(self) -> None:
        """Check the configuration and read this rank's weights. Raises UsageError."""
        config, tp = self.config, self._channels.size
        self.model = checkpoint.read_config(config.model)
        checkpoint.check_split(self.model, tp, config.model)
        self._check_context()
        self._check_topk()
        self._backends = {
            role: make_backend(name, config, self.model.head_dim)
            for role, name in (
                ("prefill", config.prefill_backend),
                ("decode", config.decode_backend),
                ("draft", config.draft_backend),
            )
        }
        self._device = _device(config.device, self._environ)
        self._dtype: torch.dtype = getattr(torch, config.dtype)
        shard = checkpoint.Shard(
            self._channels.rank, tp, self._device, self._dtype, config.load_format
        )
        self._weights = checkpoint.load_target(config.model, self.model, shard)
        self._draft = self._load_draft(shard) if config.speculative else None

    def _check_context(self) -> None:
        limit = self.model.max_position_embeddings
        if self.config.max_context > limit:
            raise UsageError(
                f"max_context {self.config.max_context} exceeds max_position_embeddings {limit} "
                f"of {self.config.model!r}: lower max_context"
            )

    def _check_topk(self) -> None:
        topk, vocab = self.config.spec.topk, self.model.vocab_size
        if topk > vocab:
            raise UsageError(
                f"spec_topk {topk} exceeds vocab_size {vocab} of {self.config.model!r}: lower it"
            )

    def _load_draft(self, shard: checkpoint.Shard) -> tuple[ModelConfig, checkpoint.DraftWeights]:
        folder = str(self.config.draft_model)
        shape = checkpoint.read_config(folder)
        checkpoint.check_draft(self.model, shape, folder)
        checkpoint.check_split(shape, shard.size, folder)
        check_fits(self.config.draft_backend, self.config, shape.head_dim)
        return shape, checkpoint.load_draft(folder, shape, shard)

    @torch.inference_mode()
    def start(self, serial: int) -> None:
        """Join the group of this process's `serial`-th engine, then capture.

        Raises CaptureBarrierTimeout, CaptureError, and torch's errors (out of memory among them).
        """
        config, channels = self.config, self._channels
        if self._device.type == "cpu":
            # Ranks share the cores; one thread each also keeps sums in one order.
            torch.set_num_threads(1)
        torch.manual_seed(config.seed)
        if channels.size > 1:
            store = parallel.open_store(self._environ, serial, channels.rank, channels.size)
            parallel.join(
                channels.rank, channels.size, self._device, store, config.collective_timeout_s
            )
        target, head, roles, pool = self._assemble(
            parallel.TensorParallel(channels.rank, channels.size)
        )
        barrier = CaptureBarrier(channels.rank, channels.barrier, config.barrier_timeout_s)
        progress = CaptureProgress(channels.rank, self._environ)
        shared = {"logits": target.reserve_logits(config.logit_rows)}
        memory = _make_memory(self._device)
        self.runner = GraphRunner(config, roles, memory, barrier, progress, shared)
        if config.graphs:
            wire.emit("phase", name="capture")
            self.runner.capture_all()
        features = torch.zeros(
            config.max_running, 1, self.model.hidden_size, device=self._device, dtype=self._dtype
        )
        prefill = self._backends["prefill"]
        self._steps = Steps(config, target, head, prefill, self.runner, features, pool)
        self.probe = Probe(config, self.runner, self.model.vocab_size)

    def _assemble(
        self, group: parallel.TensorParallel
    ) -> tuple[Llama, EagleHead | None, list[Role], Tensor]:
        """The models over one page table, the roles to capture, in order, and the target's pool."""
        config, device = self.config, self._device
        for role in ("prefill", "decode"):
            self._backends[role].init_static_state(self._attention_shape(self.model))
        positions = config.pages_per_row * config.page_size
        rotary = Rotary(self.model, positions, device, self._dtype)
        pool = self._make_pool(self.model, self.model.num_hidden_layers)
        target = Llama(self.model, self._weights, rotary, layers_of(pool), group)
        verify = verify_tree_role if config.spec.is_tree else target_role
        roles = [verify(config, target, self._backends["decode"], device)]
        if self._draft is None:
            return target, None, roles, pool
        shape, weights = self._draft
        self._backends["draft"].init_static_state(self._attention_shape(shape))
        rotary = Rotary(shape, positions, device, self._dtype)
        (cache,) = layers_of(self._make_pool(shape, 1))
        head = EagleHead(shape, weights, target, rotary, cache, group)
        attention, hidden = self._backends["draft"], shape.hidden_size
        roles.append(draft_role(config, head, attention, device, hidden, self._dtype))
        roles.append(draft_extend_role(config, head, attention, device, hidden, self._dtype))
        return target, head, roles, pool

    def _attention_shape(self, model: ModelConfig) -> AttentionShape:
        spec = self.config.spec
        return AttentionShape(
            max_bs=self.config.max_bs,
            query_heads=model.num_attention_heads // self._channels.size,
            kv_heads=model.num_key_value_heads // self._channels.size,
            head_dim=model.head_dim,
            pages_per_row=self.config.pages_per_row,
            page_size=self.config.page_size,
            device=self._device,
            dtype=self._dtype,
            max_queries=max(self.config.query_len, spec.path, spec.topk),
            branch_columns=spec.path if spec.is_tree else 0,
        )

    def footprint(self) -> Footprint:
        """What this rank holds beside its graphs and buffers."""
        return Footprint(
            weights=checkpoint.weight_bytes(self._weights),
            embedding=checkpoint.weight_bytes(self._weights.embedding),
            draft_weights=checkpoint.weight_bytes(self._draft[1] if self._draft else None),
            kv=sum(checkpoint.weight_bytes(cache) for cache in self._caches),
        )

    def _make_pool(self, model: ModelConfig, layers: int) -> Tensor:
        slots = self.config.num_pages * self.config.page_size
        heads = model.num_key_value_heads // self._channels.size
        pool = zeroed_pool((layers, 2, slots, heads, model.head_dim), self._device, self._dtype)
        self._caches += layers_of(pool)
        return pool

    @torch.inference_mode()
    def execute(self, op: str, arguments: dict[str, Any]) -> StepResult:
        """Run one command of `Steps` or `Probe`. What it answers is valid until the next."""
        assert self._steps is not None
        operation = self._steps.operations.get(op) or self.probe.operations[op]
        return operation(**arguments)

    def close(self) -> None:
        """Free the graphs, then leave the group: graphs hold its collectives."""
        wire.emit("phase", name="teardown")
        self._steps = None
        if self.runner is not None:
            self.runner.close()
        parallel.leave()


def _make_memory(device: torch.device) -> GraphMemory:
    if device.type == "cuda":
        from harness.engine.graphs.cuda import CudaMemory

        return CudaMemory(device)
    from harness.engine.graphs.recorded import RecordedMemory

    return RecordedMemory()


def _device(name: str, environ: Mapping[str, str]) -> torch.device:
    """This rank's device: its only visible one, or that of its local rank. Raises UsageError."""
    if name == "cpu":
        return torch.device("cpu")
    visible = torch.cuda.device_count()
    index = int(environ.get("LOCAL_RANK", "0")) if visible > 1 else 0
    if index >= visible:
        raise UsageError(f"device 'cuda': {visible} CUDA devices are visible here; use cpu")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)
