"""The models of one rank over their KV pools, and the roles that are captured of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.engine.attention.base import AttentionBackend, AttentionShape
from harness.engine.cache.pool import allocate_pool, split_layers
from harness.engine.capture.runner import Role
from harness.engine.config import EngineConfig
from harness.engine.distributed.tensor_parallel import TensorParallel
from harness.engine.model.checkpoint import DraftWeights, TargetWeights
from harness.engine.model.llama import Llama, Rotary
from harness.engine.model.shape import ModelConfig
from harness.engine.serving.roles import (
    make_draft_extend_role,
    make_draft_role,
    make_target_role,
    make_verify_tree_role,
)
from harness.engine.speculation.eagle_head import EagleHead


@dataclass(frozen=True, slots=True)
class TargetModel:
    """The target without a draft head."""

    target: Llama
    pool: Tensor
    """[layers, 2, slots, KV heads, head_dim]."""
    hidden_size: int

    @property
    def kv_bytes(self) -> int:
        """Bytes of all KV pools."""
        return self.pool.nbytes


@dataclass(frozen=True, slots=True)
class DraftedModels(TargetModel):
    """The target and its EAGLE head."""

    head: EagleHead
    draft_pool: Tensor

    @property
    def kv_bytes(self) -> int:
        """Bytes of all KV pools."""
        return self.pool.nbytes + self.draft_pool.nbytes


@dataclass(frozen=True, slots=True)
class RoleBackends:
    """One attention backend per role."""

    prefill: AttentionBackend
    decode: AttentionBackend
    draft: AttentionBackend


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds the models and the roles of one rank."""

    config: EngineConfig
    backends: RoleBackends
    group: TensorParallel
    device: torch.device

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and activations."""
        dtype: torch.dtype = getattr(torch, self.config.dtype)
        return dtype

    def build_target(self, model: ModelConfig, weights: TargetWeights) -> TargetModel:
        """Allocate the target's KV pool and its backends' static state, and build it."""
        for backend in (self.backends.prefill, self.backends.decode):
            backend.init_static_state(self._shape_attention(model))
        rotary = self._make_rotary(model)
        pool = self._make_pool(model, model.num_hidden_layers)
        target = Llama(model, weights, rotary, split_layers(pool), self.group)
        return TargetModel(target, pool, model.hidden_size)

    def add_draft(
        self, built: TargetModel, model: ModelConfig, weights: DraftWeights
    ) -> DraftedModels:
        """Allocate the draft head's KV pool and its backend's static state, and build it."""
        self.backends.draft.init_static_state(self._shape_attention(model))
        pool = self._make_pool(model, 1)
        rotary, (cache,) = self._make_rotary(model), split_layers(pool)
        head = EagleHead(model, weights, built.target, rotary, cache, self.group)
        return DraftedModels(built.target, built.pool, built.hidden_size, head, pool)

    def list_roles(self, models: TargetModel) -> list[Role]:
        """Return the roles to capture, in order."""
        verify = make_verify_tree_role if self.config.spec.is_tree else make_target_role
        roles = [verify(self.config, models.target, self.backends.decode, self.device)]
        if isinstance(models, DraftedModels):
            features = torch.zeros(1, models.hidden_size, device=self.device, dtype=self.dtype)
            for make in (make_draft_role, make_draft_extend_role):
                roles.append(make(self.config, models.head, self.backends.draft, features))
        return roles

    def _make_rotary(self, model: ModelConfig) -> Rotary:
        positions = self.config.pages_per_row * self.config.page_size
        return Rotary(model, positions, self.device, self.dtype)

    def _make_pool(self, model: ModelConfig, layers: int) -> Tensor:
        slots = self.config.num_pages * self.config.page_size
        heads = model.num_key_value_heads // self.group.size
        return allocate_pool((layers, 2, slots, heads, model.head_dim), self.device, self.dtype)

    def _shape_attention(self, model: ModelConfig) -> AttentionShape:
        spec = self.config.spec
        return AttentionShape(
            max_bs=self.config.max_bs,
            query_heads=model.num_attention_heads // self.group.size,
            kv_heads=model.num_key_value_heads // self.group.size,
            head_dim=model.head_dim,
            pages_per_row=self.config.pages_per_row,
            page_size=self.config.page_size,
            device=self.device,
            dtype=self.dtype,
            max_queries=max(self.config.query_len, spec.path, spec.topk),
            branch_columns=spec.path if spec.is_tree else 0,
        )
