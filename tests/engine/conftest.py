"""Seeded random checkpoints, small enough that an engine is built in a fraction of a second."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from harness.engine.engine import Engine
from harness.rank import wire

SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 29,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "eos_token_id": 1,
    "model_type": "llama",
}


def layer_tensors(prefix: str, shape: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of one decoder layer."""
    hidden, inner = int(shape["hidden_size"]), int(shape["intermediate_size"])
    queries = int(shape["num_attention_heads"]) * int(shape["head_dim"])
    keys = int(shape["num_key_value_heads"]) * int(shape["head_dim"])
    return {
        f"{prefix}input_layernorm.weight": (hidden,),
        f"{prefix}post_attention_layernorm.weight": (hidden,),
        f"{prefix}self_attn.q_proj.weight": (queries, hidden),
        f"{prefix}self_attn.k_proj.weight": (keys, hidden),
        f"{prefix}self_attn.v_proj.weight": (keys, hidden),
        f"{prefix}self_attn.o_proj.weight": (hidden, queries),
        f"{prefix}mlp.gate_proj.weight": (inner, hidden),
        f"{prefix}mlp.up_proj.weight": (inner, hidden),
        f"{prefix}mlp.down_proj.weight": (hidden, inner),
    }


def save_checkpoint(
    folder: Path, shapes: dict[str, tuple[int, ...]], config: dict[str, Any], seed: int
) -> None:
    """Write a folder of seeded random weights, scaled so that logits are far from uniform."""
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: 1.0 + 0.1 * torch.randn(shape, generator=generator)
        if "norm" in name
        else torch.randn(shape, generator=generator) / shape[-1] ** 0.5
        for name, shape in shapes.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))


def save_target(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A target of `SHAPE`, changed as asked."""
    shape = {**SHAPE, **changes}
    hidden, vocab = int(shape["hidden_size"]), int(shape["vocab_size"])
    tensors: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocab, hidden),
        "model.norm.weight": (hidden,),
        "lm_head.weight": (vocab, hidden),
    }
    for layer in range(int(shape["num_hidden_layers"])):
        tensors |= layer_tensors(f"model.layers.{layer}.", shape)
    save_checkpoint(folder, tensors, shape, seed)
    return folder


def save_draft(folder: Path, seed: int = 1, **changes: Any) -> Path:
    """An EAGLE head of `SHAPE`, changed as asked."""
    shape = {**SHAPE, "num_hidden_layers": 1, "target_vocab_size": 29, **changes}
    hidden = int(shape["hidden_size"])
    tensors = {"fc.weight": (hidden, 2 * hidden), **layer_tensors("layers.0.", shape)}
    save_checkpoint(folder, tensors, shape, seed)
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `target` and `draft`."""
    folder = tmp_path_factory.mktemp("models")
    save_target(folder / "target")
    save_draft(folder / "draft")
    return folder


@pytest.fixture
def engine_args(models: Path) -> dict[str, object]:
    """Arguments of a small speculative engine."""
    return {
        "model": str(models / "target"),
        "draft_model": str(models / "draft"),
        "max_context": 40,
        "cuda_graph_bs": [1, 2, 4],
        "max_running": 4,
        "order": "descending",
    }


@pytest.fixture(autouse=True)
def no_engine_left_open() -> Iterator[None]:
    """A failed test must not fail the next."""
    yield
    if (engine := Engine.get_open()) is not None:
        engine.close()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Every event emitted."""
    events: list[dict[str, object]] = []
    monkeypatch.setattr(wire, "emit", lambda event, **keys: events.append({"event": event, **keys}))
    return events
