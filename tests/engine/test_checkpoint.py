"""Hostile and mistaken checkpoints are refused in one line, before anything is allocated."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.core.errors import UsageError
from harness.engine.config import build_config
from harness.engine.distributed.channels import Channels
from harness.engine.engine import Engine
from harness.engine.model import checkpoint, shape
from harness.engine.serving import worker
from tests.engine.conftest import SHAPE, save_draft, save_target


def load(target: Path, draft: Path, tp: int = 1, **args: object) -> None:
    """What every rank does before it meets the others."""
    environ = {"WORLD_SIZE": str(tp)}
    given = {"model": str(target), "draft_model": str(draft), "max_context": 40, **args}
    worker.load(build_config(given, {}, environ), Channels(0, tp, [], []), environ)


def rewrite_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def drop_tensor(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.norm.weight"]
    save_file(tensors, path)


def make_integers(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"] = torch.ones(32, dtype=torch.int32)
    save_file(tensors, path)


MISTAKES: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / "config.json").unlink(), "no readable config.json"),
    (lambda f: (f / "model.safetensors").unlink(), "no readable model.safetensors"),
    (lambda f: (f / "config.json").write_text("{"), "not JSON"),
    (lambda f: (f / "config.json").write_text("[" * 100_000), "not JSON"),
    (lambda f: (f / "config.json").write_bytes(b"\xff\xfe"), "not JSON"),
    (lambda f: (f / "config.json").write_text("[]"), "not a JSON object"),
    (lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 64), "corrupt or truncated"),
    (lambda f: (f / "model.safetensors").write_bytes(b""), "corrupt or truncated"),
    (truncate, "corrupt or truncated"),
    (drop_tensor, "no tensor 'model.norm.weight'"),
    (make_integers, "model.norm.weight is I32"),
    (lambda f: rewrite_config(f, vocab_size=10**12), "has shape [29, 32]"),
    (lambda f: rewrite_config(f, num_hidden_layers=10**9), "no tensor 'model.layers.2."),
    (lambda f: rewrite_config(f, intermediate_size=-1), "intermediate_size is -1"),
    (lambda f: rewrite_config(f, hidden_size="big"), "hidden_size is 'big'"),
    (lambda f: rewrite_config(f, head_dim=15), "head_dim 15 is odd"),
    (lambda f: rewrite_config(f, num_key_value_heads=3), "does not divide"),
    (lambda f: rewrite_config(f, rms_norm_eps=float("nan")), "rms_norm_eps"),
    (lambda f: rewrite_config(f, rope_scaling={"factor": 2}), "scaled rotary positions"),
    (lambda f: rewrite_config(f, rope_parameters=[1]), "rope_parameters"),
    (lambda f: rewrite_config(f, hidden_act="gelu"), "hidden_act 'gelu'"),
    (lambda f: rewrite_config(f, attention_bias=True), "biases"),
    (lambda f: rewrite_config(f, eos_token_id="end"), "eos_token_id"),
    (lambda f: rewrite_config(f, max_position_embeddings=8), "max_context 40 exceeds"),
]


@pytest.mark.parametrize(("mistake", "said"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_a_spoilt_target_is_refused(
    tmp_path: Path, mistake: Callable[[Path], object], said: str
) -> None:
    target, draft = save_target(tmp_path / "target"), save_draft(tmp_path / "draft")
    mistake(target)
    with pytest.raises(UsageError) as caught:
        load(target, draft)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vocab_size": 31}, "has vocab_size 31, its target 29"),
        ({"hidden_size": 64}, "hidden_size"),
    ],
)
def test_a_draft_head_of_another_target_is_refused(
    tmp_path: Path, models: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        load(models / "target", save_draft(tmp_path, **changes))


def test_a_target_given_as_draft_is_refused(models: Path) -> None:
    with pytest.raises(UsageError, match=r"no tensor 'fc.weight'"):
        load(models / "target", models / "target")


@pytest.mark.parametrize("tp", [3, 4])
def test_a_tp_that_does_not_divide_the_heads_is_refused(models: Path, tp: int) -> None:
    with pytest.raises(UsageError, match=f"tp {tp} does not divide num_"):
        load(models / "target", models / "draft", tp)


def test_a_backend_that_cannot_run_here_is_refused_with_its_reason(models: Path) -> None:
    with pytest.raises(UsageError, match=r"fa3 has no cpu kernel.*available here: torch_native"):
        load(models / "target", models / "draft", backend="fa3")


def test_tied_embeddings_need_no_head_tensor(tmp_path: Path, models: Path) -> None:
    target = save_target(tmp_path, tie_word_embeddings=True)
    tensors = load_file(target / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, target / "model.safetensors")
    load(target, models / "draft")
    assert SHAPE["tie_word_embeddings"] is False


def test_dummy_weights_need_a_config_alone_and_ranks_cut_the_same_model(
    tmp_path: Path, models: Path
) -> None:
    (tmp_path / "config.json").write_bytes((models / "target" / "config.json").read_bytes())
    config = shape.read_config(str(tmp_path))
    cpu, double = torch.device("cpu"), torch.float64
    whole, *parts = (
        checkpoint.load_target(
            str(tmp_path), config, checkpoint.Shard(rank, size, cpu, double, "dummy")
        )
        for rank, size in ((0, 1), (0, 2), (1, 2))
    )
    layer = whole.layers[1]
    downs = [part.layers[1].down for part in parts]
    assert torch.equal(torch.cat(downs, 1), layer.down)
    assert not torch.equal(layer.down, whole.layers[0].down)
    assert float(layer.down.std()) == pytest.approx(48**-0.5, rel=0.1)
    assert torch.equal(layer.input_norm, torch.ones(32, dtype=double))


def test_an_engine_runs_on_dummy_weights(models: Path) -> None:
    args = {"model": str(models / "target"), "speculative": False, "cuda_graph_bs": [1]}
    with Engine.from_cell({**args, "load_format": "dummy", "max_context": 20}) as engine:
        assert len(engine.generate([[3]], 4)[0].tokens) <= 4
    with pytest.raises(UsageError, match=r"load_format.*'pickle'.*safetensors, dummy"):
        Engine.from_cell({**args, "load_format": "pickle"})
