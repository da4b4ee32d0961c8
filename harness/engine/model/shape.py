"""A Llama decoder's shape: read from a Hugging Face `config.json` and checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError

#: Below this vocabulary gathering the ranks' logits takes longer than computing them all.
SPLIT_VOCABULARY = 4096


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A Llama decoder's shape, as its Hugging Face `config.json` states it."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    rms_norm_eps: float
    rope_theta: float
    max_position_embeddings: int
    tie_word_embeddings: bool
    eos_token_ids: tuple[int, ...]

    @property
    def splits_vocabulary(self) -> bool:
        """Whether ranks share `lm_head`; each holds a small one whole."""
        return self.vocab_size >= SPLIT_VOCABULARY


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
