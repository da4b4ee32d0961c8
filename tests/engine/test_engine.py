"""The engine on one rank against the plain reference, in every mode a cell can ask for."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.engine.capture.arena import MIB
from harness.engine.capture.recorded import RecordedMemory
from harness.engine.capture.runner import WARM_UPS, GraphRunner
from harness.engine.engine import Engine
from harness.engine.oracles.greedy import NanDetected, WrongOutput, check_greedy
from harness.engine.oracles.reference import Reference

PROMPTS = [[3, 4, 5], [7], [9, 10, 11, 12], [2, 2, 2], [8, 9], [20, 3, 3]]
EPSILON = 1e-3


@pytest.fixture
def reference(models: Path) -> Reference:
    return Reference(str(models / "target"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"graphs": False},
        {"speculative": False},
        {"page_size": 4},
        {"spec_steps": 1},
        {"spec_topk": 3, "page_size": 4},
        {"spec_topk": 3, "graphs": False},
        {"spec_topk": 8, "spec_steps": 8, "spec_draft_tokens": 2},
        {"spec_topk": 8, "spec_steps": 1, "cuda_graph_bs": [1, 2]},
        {"order": "ascending"},
        {"order": "shuffled", "seed": 3},
        {"cuda_graph_bs": [1, 2]},
        {"max_running": 2, "cuda_graph_bs": [4]},
        {"capture_phases": "two-phase"},
        {"pool_sharing": "per-role"},
        {"capture_phases": "two-phase", "pool_sharing": "per-graph", "order": "ascending"},
    ],
    ids=str,
)
def test_greedy_tokens_are_the_references_in_every_mode(
    engine_args: dict[str, object], reference: Reference, changes: dict[str, object]
) -> None:
    with Engine.from_cell({**engine_args, **changes}) as engine:
        free = engine.free_pages
        generations = engine.generate(PROMPTS, 15, return_logprob=True)
        assert check_greedy(reference, PROMPTS, generations, EPSILON) == []
        assert engine.free_pages == free
        scored = engine.score(PROMPTS[0], generations[0].tokens)
    assert scored == pytest.approx(generations[0].logprobs, abs=1e-4)


def test_logprobs_are_the_references(engine_args: dict[str, object], reference: Reference) -> None:
    with Engine.from_cell(engine_args) as engine:
        (generation,) = engine.generate([[3, 4, 5]], 8, return_logprob=True)
    rows = reference.logits([[3, 4, 5, *generation.tokens]])[0][2:-1].log_softmax(-1)
    wanted = rows.gather(-1, torch.tensor(generation.tokens).unsqueeze(-1)).squeeze(-1)
    assert generation.logprobs == pytest.approx(wanted.tolist(), abs=1e-4)


def test_every_step_is_a_replay_where_graphs_are_large_enough(
    engine_args: dict[str, object],
) -> None:
    with Engine.from_cell(engine_args) as engine:
        engine.generate(PROMPTS, 6)
        stats = engine.stats
    assert stats.eager == 0
    assert {name.split("/")[0] for name in stats.replays} == {"verify", "draft", "draft_extend"}
    assert stats.mean_accept_length >= 1


def test_a_batch_above_the_largest_graph_runs_eagerly_and_is_noted_once(
    engine_args: dict[str, object], told: list[dict[str, object]]
) -> None:
    with Engine.from_cell({**engine_args, "cuda_graph_bs": [1, 2]}) as engine:
        engine.generate(PROMPTS[:4], 6)
        assert engine.stats.eager > 1
    assert [e["text"] for e in told if e["event"] == "note"] == [
        "draft: batch 4 exceeds graph size 2: eager"
    ]


@pytest.mark.parametrize(
    ("order", "sizes"), [("ascending", [1, 2, 4]), ("descending", [4, 2, 1]), ("gate", [4, 2, 1])]
)
def test_the_trace_shows_the_order_as_requested_and_as_captured(
    engine_args: dict[str, object], told: list[dict[str, object]], order: str, sizes: list[int]
) -> None:
    with Engine.from_cell({**engine_args, "order": order}):
        pass
    captures = [event for event in told if event["event"] == "capture"]
    plans = [event for event in told if event["event"] == "capture_plan"]
    assert [plan["requested"] for plan in plans] == [order] * 3
    assert all(plan["sizes"] == sizes for plan in plans)
    for role in ("verify", "draft", "draft_extend"):
        assert [e["bs"] for e in captures if e["role"] == role] == sizes
    assert [e["position"] for e in captures] == list(range(9))
    assert "attention.workspace" in captures[0]["addresses"]  # type: ignore[operator]
    phases = [event["name"] for event in told if event["event"] == "phase"]
    assert phases == ["setup", "capture", "run", "teardown"]


def test_orders_differ_in_layout_yet_not_in_answers(
    engine_args: dict[str, object], told: list[dict[str, object]]
) -> None:
    answers, layouts = [], []
    for order in ("ascending", "descending"):
        with Engine.from_cell({**engine_args, "order": order}) as engine:
            answers.append([g.tokens for g in engine.generate(PROMPTS, 10)])
        found = [e for e in told if e["event"] == "capture" and e["role"] == "verify"]
        outputs = {e["bs"]: e["addresses"]["output.hidden"] for e in found}  # type: ignore[index]
        layouts.append({bs: address - min(outputs.values()) for bs, address in outputs.items()})
        told.clear()
    assert answers[0] == answers[1]
    assert layouts[0] != layouts[1]


def test_decode_graphs_keep_nothing_of_their_own(
    engine_args: dict[str, object], told: list[dict[str, object]]
) -> None:
    """What each graph answered in the pool would add up over 35 sizes, whatever the order."""
    with Engine.from_cell({**engine_args, "speculative": False}):
        pass
    found = [e["addresses"] for e in told if e["event"] == "capture" and e["role"] == "decode"]
    assert len(found) == 3
    for addresses in found:
        assert isinstance(addresses, dict)
        answered = {k: at for k, at in addresses.items() if k.startswith("output.")}
        assert answered == {"output.logits": addresses["shared.logits"]}


@pytest.mark.parametrize(("phases", "before"), [("interleaved", 1), ("two-phase", 9)])
def test_shapes_are_warmed_up_when_the_mode_says(
    engine_args: dict[str, object], monkeypatch: pytest.MonkeyPatch, phases: str, before: int
) -> None:
    done: list[str] = []
    for name in ("warm_up", "capture"):
        method = getattr(RecordedMemory, name)

        def noted(
            *args: object, name: str = name, method: Callable[..., object] = method
        ) -> object:
            done.append(name)
            return method(*args)

        monkeypatch.setattr(RecordedMemory, name, noted)
    with Engine.from_cell({**engine_args, "capture_phases": phases}):
        pass
    assert done.count("capture") == 9
    assert done.count("warm_up") == 9 * WARM_UPS
    assert done.index("capture") == before * WARM_UPS


@pytest.mark.parametrize(("sharing", "pools"), [("shared", 1), ("per-role", 3), ("per-graph", 9)])
def test_pool_bytes_are_those_of_all_pools(
    engine_args: dict[str, object], told: list[dict[str, object]], sharing: str, pools: int
) -> None:
    with Engine.from_cell({**engine_args, "pool_sharing": sharing}) as engine:
        named = {seen["pool"] for seen in engine.captures}
    (captured,) = (event for event in told if event["event"] == "captured")
    assert isinstance(captured["pools"], dict)
    assert len(captured["pools"]) == pools
    assert named == set(captured["pools"])
    assert captured["pool_bytes"] == sum(captured["pools"].values()) == pools * 2 * MIB


def test_all_graphs_write_their_logits_to_one_buffer_outside_the_pool(
    engine_args: dict[str, object],
) -> None:
    with Engine.from_cell(engine_args) as engine:
        shared = {seen["addresses"]["shared.logits"] for seen in engine.captures}
        verify = [seen for seen in engine.captures if seen["role"] == "verify"]
        assert shared == {seen["addresses"]["output.logits"] for seen in verify}
        others = {seen["addresses"]["output.hidden"] for seen in verify}
    assert len(shared) == 1
    assert not shared & others


def test_sampling_follows_the_targets_distribution(
    engine_args: dict[str, object], reference: Reference
) -> None:
    count = 600
    with Engine.from_cell(engine_args) as engine:
        generations = engine.generate([[3, 4, 5]] * count, 2, temperature=1.0)
    firsts = reference.logits([[3, 4, 5]])[0][-1].softmax(-1)
    expected = torch.zeros(29)
    for first, probability in enumerate(firsts.tolist()):
        if first != 1:
            row = reference.logits([[3, 4, 5, first]])[0][-1].softmax(-1)
            expected += probability * row
    seen = torch.bincount(
        torch.tensor([g.tokens[1] for g in generations if len(g.tokens) == 2]), minlength=29
    )
    deviation = ((seen / count - expected).abs() / (expected / count).sqrt().clamp_min(1e-3)).max()
    assert deviation < 4.5


def test_a_seed_repeats_a_sampled_run(engine_args: dict[str, object]) -> None:
    runs = []
    for _ in range(2):
        with Engine.from_cell({**engine_args, "seed": 11, "temperature": 1.0}) as engine:
            runs.append([g.tokens for g in engine.generate(PROMPTS, 6)])
    assert runs[0] == runs[1]


def test_abort_frees_pages_and_spares_the_others(
    engine_args: dict[str, object], reference: Reference
) -> None:
    with Engine.from_cell(engine_args) as engine:
        free = engine.free_pages
        kept, dropped = engine.submit([3, 4], 12), engine.submit([5], 12)
        engine.step()
        assert engine.abort(dropped.id)
        while engine.step():
            pass
        assert dropped.finish_reason == "abort"
        assert check_greedy(reference, [[3, 4]], [kept], EPSILON) == []
        engine.submit([3], 5)
        assert engine.abort_all() == 1
        assert engine.free_pages == free


def test_stale_padding_rows_are_what_the_reset_prevents(
    engine_args: dict[str, object], reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GraphRunner, "reset_padding", lambda *_: None)
    # Without the prefix cache a freed page goes out again at once, to whom a stale row writes.
    args = {**engine_args, "cuda_graph_bs": [4], "speculative": False, "prefix_cache": False}
    wrong = 0
    with Engine.from_cell(args) as engine:
        for length in (2, 4, 6, 8, 10):
            prompts = [[3 + i] * (length + 3 * i) for i in range(4)]
            answers = engine.generate(prompts, 5)
            answers += engine.generate([[9, 10, 11, 12]], 12)
            try:
                check_greedy(reference, [*prompts, [9, 10, 11, 12]], answers, EPSILON)
            except WrongOutput:
                wrong += 1
    assert wrong


def test_nan_logits_are_named(
    engine_args: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = GraphRunner.run

    def poisoned(self: GraphRunner, name: str, values: dict[str, torch.Tensor]) -> object:
        outputs = run(self, name, values)
        if name == "verify":
            outputs["logits"][1, 2, 3] = float("nan")
        return outputs

    monkeypatch.setattr(GraphRunner, "run", poisoned)
    with (
        Engine.from_cell(engine_args) as engine,
        pytest.raises(NanDetected, match="verify: request 1, position 2"),
    ):
        engine.generate(PROMPTS[:2], 8)


def test_a_wrong_token_is_named(reference: Reference, engine_args: dict[str, object]) -> None:
    with Engine.from_cell(engine_args) as engine:
        (generation,) = engine.generate([[3]], 4)
    generation.tokens[2] = (generation.tokens[2] + 1) % 29
    with pytest.raises(WrongOutput, match="request 0, position 2"):
        check_greedy(reference, [[3]], [generation], EPSILON)
    assert len(check_greedy(reference, [[3]], [generation], 1e9)) >= 1
