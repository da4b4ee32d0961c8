"""Looking at captured steps finds what differs, changes no answer and times what it says."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from harness.core.errors import UsageError
from harness.engine.capture.runner import GraphRunner
from harness.engine.engine import Engine
from harness.engine.oracles.greedy import NanDetected
from harness.engine.probe import time_step, watch_replays

PROMPTS = [[3, 4, 5], [7], [9, 10, 11, 12]]


def test_watching_replays_sees_every_role_and_changes_no_answer(
    engine_args: dict[str, object],
) -> None:
    with Engine.from_cell(engine_args) as engine:
        unwatched = [g.tokens for g in engine.generate(PROMPTS, 8)]
        differences = watch_replays(engine)
        assert [g.tokens for g in engine.generate(PROMPTS, 8)] == unwatched
        assert {name.split("/")[0] for name in differences} == {"verify", "draft", "draft_extend"}
        assert max(differences.values()) < 1e-4


def test_watching_replays_sees_a_graph_that_answers_wrongly(
    engine_args: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine.from_cell(engine_args) as engine:
        differences = watch_replays(engine)
        monkeypatch.setattr(GraphRunner, "reset_padding", lambda *_: None)
        runner = engine.ranks.worker.runner
        # A graph that reads a buffer which nobody fills any more.
        kept = runner.roles["verify"].inputs["tokens"]
        runner.roles["verify"].inputs["tokens"] = kept.clone()
        engine.generate(PROMPTS, 4)
        assert max(differences.values()) > 1e-2


def test_a_nan_is_infinitely_far(
    engine_args: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine.from_cell({**engine_args, "speculative": False}) as engine:
        differences = watch_replays(engine)
        runner = engine.ranks.worker.runner
        graph = runner.graphs["decode", 4]
        replay = graph.replay

        def poisoned() -> None:
            replay()
            graph.outputs["logits"][0, 0, 0] = float("nan")

        monkeypatch.setattr(graph, "replay", poisoned)
        with pytest.raises(NanDetected):
            engine.generate(PROMPTS, 2)
        assert differences["decode/4"] == float("inf")


def test_a_step_is_timed_as_a_replay_and_eagerly(engine_args: dict[str, object]) -> None:
    with Engine.from_cell({**engine_args, "speculative": False}) as engine:
        assert 0 < time_step(engine, "decode", 2, 30, 3) < 1
        assert 0 < time_step(engine, "decode", 3, 30, 3, graphed=False) < 1
        with pytest.raises(UsageError, match="decode was not captured at batch size 3"):
            time_step(engine, "decode", 3, 30, 3)
        with pytest.raises(UsageError, match="2 rows of 41 positions need an idle engine"):
            time_step(engine, "decode", 2, 41, 3)
        assert torch.is_inference_mode_enabled() is False


def test_the_footprint_is_weights_and_pages(engine_args: dict[str, object], models: Path) -> None:
    with Engine.from_cell(engine_args) as engine:
        footprint, config = engine.footprint, engine.config
    stored = load_file(models / "target" / "model.safetensors")
    drafts = load_file(models / "draft" / "model.safetensors")
    assert footprint.weights == sum(tensor.nbytes for tensor in stored.values())
    assert footprint.draft_weights == sum(tensor.nbytes for tensor in drafts.values())
    assert footprint.embedding == 29 * 32 * 4
    # 2 layers of the target and 1 of the draft head, keys and values, 2 heads of 16 in float32.
    assert footprint.kv == 3 * 2 * config.num_pages * config.page_size * 2 * 16 * 4
