"""The plain answer: a float32, single-process Llama on whole weights, without cache or graphs.

Written apart from the engine's model on purpose, so that one mistake cannot hide in both.
"""

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from harness.engine.model.shape import read_config


class Reference:
    """A checkpoint's exact function from token prefixes to logits, at the dtype given."""

    def __init__(self, model_path: str, dtype: torch.dtype = torch.float32) -> None:
        """Raises UsageError where the folder holds no readable config."""
        self._config = read_config(model_path)
        loaded = load_file(Path(model_path) / "model.safetensors")
        self._weights = {name: tensor.to(dtype) for name, tensor in loaded.items()}

    @torch.inference_mode()
    def logits(self, token_rows: list[list[int]]) -> list[Tensor]:
        """Next-token logits of every position: per row [len, vocab]."""
        return [self._row(torch.tensor(tokens)) for tokens in token_rows]

    @torch.inference_mode()
    def hidden(self, tokens: list[int]) -> Tensor:
        """Final-normed hidden states [len, hidden] of one row."""
        return self._hidden(torch.tensor(tokens))

    def _row(self, tokens: Tensor) -> Tensor:
        tied = self._config.tie_word_embeddings
        return self._hidden(tokens) @ self._weight("model.embed_tokens" if tied else "lm_head").T

    def _hidden(self, tokens: Tensor) -> Tensor:
        states = self._weight("model.embed_tokens")[tokens]
        for layer in range(self._config.num_hidden_layers):
            prefix = f"model.layers.{layer}"
            normed = self._norm(states, f"{prefix}.input_layernorm")
            states = states + self._attention(normed, f"{prefix}.self_attn")
            normed = self._norm(states, f"{prefix}.post_attention_layernorm")
            states = states + self._mlp(normed, f"{prefix}.mlp")
        return self._norm(states, "model.norm")

    def _weight(self, name: str) -> Tensor:
        return self._weights[f"{name}.weight"]

    def _norm(self, states: Tensor, name: str) -> Tensor:
        mean_square = states.pow(2).mean(-1, keepdim=True)
        return states / (mean_square + self._config.rms_norm_eps).sqrt() * self._weight(name)

    def _mlp(self, states: Tensor, name: str) -> Tensor:
        gate = states @ self._weight(f"{name}.gate_proj").T
        up = states @ self._weight(f"{name}.up_proj").T
        return (gate * gate.sigmoid() * up) @ self._weight(f"{name}.down_proj").T

    def _attention(self, states: Tensor, name: str) -> Tensor:
        config, count = self._config, states.shape[0]
        query = self._heads(states, f"{name}.q_proj", config.num_attention_heads)
        key = self._heads(states, f"{name}.k_proj", config.num_key_value_heads)
        value = self._heads(states, f"{name}.v_proj", config.num_key_value_heads)
        groups = config.num_attention_heads // config.num_key_value_heads
        key, value = (part.repeat_interleave(groups, 0) for part in (self._turn(key), value))
        scores = self._turn(query) @ key.transpose(1, 2) / math.sqrt(config.head_dim)
        future = torch.ones(count, count, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(future, -math.inf).softmax(-1)
        return (weights @ value).transpose(0, 1).reshape(count, -1) @ self._weight(
            f"{name}.o_proj"
        ).T

    def _heads(self, states: Tensor, name: str, heads: int) -> Tensor:
        """[len, hidden] to [heads, len, head_dim]."""
        return (states @ self._weight(name).T).view(len(states), heads, -1).transpose(0, 1)

    def _turn(self, heads: Tensor) -> Tensor:
        """Rotary positions as complex turns: dimension i pairs with i + head_dim / 2."""
        half = self._config.head_dim // 2
        rates = self._config.rope_theta ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.outer(torch.arange(heads.shape[1], dtype=torch.float64), rates)
        turns = torch.polar(torch.ones_like(angles), angles)
        turned = torch.complex(heads[..., :half].double(), heads[..., half:].double()) * turns
        return torch.cat([turned.real, turned.imag], -1).to(heads.dtype)
