"""Reads Hugging Face Llama checkpoints (`config.json`, `model.safetensors`), one rank's slices.

With the load format `dummy` only `config.json` is read, and weights are drawn.

Every name and shape is checked against the config before anything is allocated, so a hostile
config cannot ask for more memory than its file holds. Files are read with safetensors: no pickle.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.core.errors import UsageError
from harness.engine.config import ModelConfig
from harness.engine.dummy_weights import DummyReader
from harness.engine.safetensors_reader import SafetensorsReader


@dataclass(frozen=True, slots=True)
class Shard:
    """Which part of each parallel weight this rank reads, and as what."""

    rank: int
    size: int
    device: torch.device
    dtype: torch.dtype
    load_format: str = "safetensors"

    def open(self, folder: str) -> SafetensorsReader | DummyReader:
        """The weights of a folder. Raises UsageError where its file cannot be read."""
        reader = DummyReader if self.load_format == "dummy" else SafetensorsReader
        return reader(folder, self.device, self.dtype)


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One decoder layer of one rank; heads and intermediate channels are this rank's.

    `qkv` [(heads + 2 KV heads) * head_dim, hidden], `output` [hidden, heads * head_dim],
    `gate_up` [2 * intermediate, hidden], `down` [hidden, intermediate], norms [hidden].
    """

    input_norm: Tensor
    qkv: Tensor
    output: Tensor
    post_norm: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True, slots=True)
class TargetWeights:
    """The decoder of one rank: `embedding` [vocab, hidden], `lm_head` [vocab / ranks, hidden].

    `lm_head` is padded with zero rows where the ranks do not divide the vocabulary, and whole
    where `splits_vocabulary` says that it is not worth splitting.
    """

    embedding: Tensor
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    lm_head: Tensor


@dataclass(frozen=True, slots=True)
class DraftWeights:
    """The EAGLE head of one rank: `fuse` [hidden, 2 * hidden], replicated, and one layer."""

    fuse: Tensor
    layer: LayerWeights


def weight_bytes(weights: object) -> int:
    """Bytes of all tensors of weights, whichever dataclass holds them; a tied one counts twice."""
    if isinstance(weights, Tensor):
        return weights.numel() * weights.itemsize
    if isinstance(weights, tuple):
        return sum(weight_bytes(part) for part in weights)
    if dataclasses.is_dataclass(weights):
        return sum(weight_bytes(getattr(weights, f.name)) for f in dataclasses.fields(weights))
    return 0


def read_config(folder: str) -> ModelConfig:
    """Read `config.json`. Raises UsageError where it is missing, no JSON or no plain Llama."""
    path = Path(folder) / "config.json"
    try:
        raw = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"checkpoint {folder!r}: no readable config.json ({error.strerror})"
        ) from None
    except (ValueError, RecursionError):
        raise UsageError(f"checkpoint {folder!r}: config.json is not JSON; save it again") from None
    if not isinstance(raw, dict):
        raise UsageError(f"checkpoint {folder!r}: config.json is not a JSON object; save it again")
    return _model_config(raw, f"checkpoint {folder!r}: config.json")


def _model_config(raw: Mapping[str, Any], where: str) -> ModelConfig:
    _refuse_variants(raw, where)
    hidden, heads = _size(raw, "hidden_size", where), _size(raw, "num_attention_heads", where)
    rope = raw.get("rope_parameters") or {}
    theta = raw.get("rope_theta", rope.get("rope_theta", 10000.0))
    config = ModelConfig(
        hidden_size=hidden,
        intermediate_size=_size(raw, "intermediate_size", where),
        num_hidden_layers=_size(raw, "num_hidden_layers", where),
        num_attention_heads=heads,
        num_key_value_heads=_size(raw, "num_key_value_heads", where, heads),
        head_dim=_size(raw, "head_dim", where, hidden // heads),
        vocab_size=_size(raw, "vocab_size", where, raw.get("target_vocab_size")),
        rms_norm_eps=_positive(raw.get("rms_norm_eps", 1e-6), "rms_norm_eps", where),
        rope_theta=_positive(theta, "rope_theta", where),
        max_position_embeddings=_size(raw, "max_position_embeddings", where, 2048),
        tie_word_embeddings=bool(raw.get("tie_word_embeddings", False)),
        eos_token_ids=_token_ids(raw.get("eos_token_id"), where),
    )
    if config.num_attention_heads % config.num_key_value_heads:
        raise UsageError(
            f"{where}: num_key_value_heads {config.num_key_value_heads} does not divide "
            f"num_attention_heads {config.num_attention_heads}"
        )
    if config.head_dim % 2:
        raise UsageError(f"{where}: head_dim {config.head_dim} is odd; rotary positions need pairs")
    return config


def _refuse_variants(raw: Mapping[str, Any], where: str) -> None:
    """What would be computed wrongly, silently, is refused."""
    rope = raw.get("rope_parameters")
    if rope is not None and not isinstance(rope, dict):
        raise UsageError(f"{where}: rope_parameters is not an object")
    if raw.get("rope_scaling") or (rope or {}).get("rope_type", "default") != "default":
        raise UsageError(f"{where}: scaled rotary positions are not supported; use a plain Llama")
    if raw.get("attention_bias") or raw.get("mlp_bias"):
        raise UsageError(f"{where}: biases are not supported; use a checkpoint without them")
    if raw.get("hidden_act", "silu") != "silu":
        raise UsageError(f"{where}: hidden_act {raw['hidden_act']!r} is not supported, only 'silu'")


def _size(raw: Mapping[str, Any], name: str, where: str, default: Any = None) -> int:
    value = raw.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{where}: {name} is {value!r}, but a whole number above 0 is needed")
    return value


def _positive(value: object, name: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise UsageError(f"{where}: {name} is {value!r}, but a number above 0 is needed")
    return float(value)


def _token_ids(value: object, where: str) -> tuple[int, ...]:
    listed = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(item, int) for item in listed):
        raise UsageError(f"{where}: eos_token_id is {value!r}, but token numbers are needed")
    return tuple(listed)


def check_split(config: ModelConfig, tp: int, folder: str) -> None:
    """Raises UsageError where `tp` ranks cannot share the heads or channels evenly."""
    for name in ("num_attention_heads", "num_key_value_heads", "intermediate_size"):
        if getattr(config, name) % tp:
            raise UsageError(
                f"tp {tp} does not divide {name} {getattr(config, name)} of {folder!r}: "
                f"choose a tp that does"
            )


def check_draft(target: ModelConfig, draft: ModelConfig, folder: str) -> None:
    """Raises UsageError where the draft head was trained for another target."""
    for name in ("vocab_size", "hidden_size"):
        ours, theirs = getattr(target, name), getattr(draft, name)
        if ours != theirs:
            raise UsageError(
                f"draft head {folder!r} has {name} {theirs}, its target {ours}: "
                f"give the head that was trained for this target"
            )


def load_target(folder: str, config: ModelConfig, shard: Shard) -> TargetWeights:
    """Read one rank's part of the decoder. Raises UsageError for a file that does not fit."""
    shape = (config.vocab_size, config.hidden_size)
    head_name = "model.embed_tokens" if config.tie_word_embeddings else "lm_head"
    with shard.open(folder) as reader:
        return TargetWeights(
            embedding=reader.whole("model.embed_tokens.weight", shape),
            layers=tuple(
                _load_layer(reader, f"model.layers.{layer}.", config, shard)
                for layer in range(config.num_hidden_layers)
            ),
            norm=reader.whole("model.norm.weight", shape[1:]),
            lm_head=_load_head(reader, f"{head_name}.weight", config, shard),
        )


def load_draft(folder: str, config: ModelConfig, shard: Shard) -> DraftWeights:
    """Read one rank's part of the EAGLE head. Raises UsageError for a file that does not fit."""
    hidden = config.hidden_size
    with shard.open(folder) as reader:
        return DraftWeights(
            fuse=reader.whole("fc.weight", (hidden, 2 * hidden)),
            layer=_load_layer(reader, "layers.0.", config, shard),
        )


def _load_layer(
    reader: SafetensorsReader | DummyReader, prefix: str, config: ModelConfig, shard: Shard
) -> LayerWeights:
    """Column-parallel weights are cut by output rows, row-parallel ones by input columns."""
    hidden, inner = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim

    def rows(name: str, count: int) -> Tensor:
        return reader.part(f"{prefix}{name}.weight", (count, hidden), 0, shard.rank, shard.size)

    def columns(name: str, count: int) -> Tensor:
        return reader.part(f"{prefix}{name}.weight", (hidden, count), 1, shard.rank, shard.size)

    def norm(name: str) -> Tensor:
        return reader.whole(f"{prefix}{name}.weight", (hidden,))

    return LayerWeights(
        input_norm=norm("input_layernorm"),
        qkv=torch.cat(
            [
                rows("self_attn.q_proj", queries),
                rows("self_attn.k_proj", keys),
                rows("self_attn.v_proj", keys),
            ]
        ),
        output=columns("self_attn.o_proj", queries),
        post_norm=norm("post_attention_layernorm"),
        gate_up=torch.cat([rows("mlp.gate_proj", inner), rows("mlp.up_proj", inner)]),
        down=columns("mlp.down_proj", inner),
    )


def _load_head(
    reader: SafetensorsReader | DummyReader, name: str, config: ModelConfig, shard: Shard
) -> Tensor:
    shape = (config.vocab_size, config.hidden_size)
    if not config.splits_vocabulary:
        return reader.whole(name, shape)
    part = reader.part(name, shape, 0, shard.rank, shard.size)
    padding = -(-shape[0] // shard.size) - part.shape[0]
    return torch.nn.functional.pad(part, (0, 0, 0, padding))
