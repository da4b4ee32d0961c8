"""CUDA graphs, where there is a device: the contract of recorded graphs, and the engine on them."""

from pathlib import Path

import pytest
import torch

from harness.core.backends import BACKENDS, explain_absence, explain_misfit
from harness.engine.capture.graph import CaptureError, Outputs
from harness.engine.engine import Engine
from harness.engine.oracles.greedy import check_greedy
from harness.engine.oracles.reference import Reference
from harness.engine.serving.results import Generation
from tests.engine.conftest import save_draft, save_target
from tests.engine.ranks import run_ranks

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

PROMPTS = [[3, 4, 5], [7], [9, 10, 11, 12], [2, 2, 2], [8, 9]]


def test_a_replay_equals_an_eager_run_on_fresh_inputs() -> None:
    from harness.engine.capture.cuda import CudaMemory

    device = torch.device("cuda", 0)
    memory, values = CudaMemory(device), torch.randn(64, 64, device=device)

    def step() -> Outputs:
        return {"x": (values @ values).relu() + 1}

    memory.warm_up(step)
    graph = memory.capture(step)
    for _ in range(3):
        values.normal_()
        graph.replay()
        assert torch.equal(graph.outputs["x"], step()["x"])
    assert memory.pool_bytes()["shared"] > 0


def test_reading_a_value_in_capture_raises() -> None:
    from harness.engine.capture.cuda import CudaMemory

    device = torch.device("cuda", 0)
    memory, values = CudaMemory(device), torch.randn(4, device=device)
    with pytest.raises(CaptureError):
        memory.capture(lambda: {"x": torch.full((2,), values.sum().item(), device=device)})


@pytest.mark.parametrize("changes", [{}, {"page_size": 4}, {"speculative": False}], ids=str)
def test_the_engine_on_cuda_graphs_answers_as_the_reference(
    engine_args: dict[str, object], models: Path, changes: dict[str, object]
) -> None:
    args = {**engine_args, **changes, "device": "cuda", "dtype": "float32"}
    with Engine.from_cell(args) as engine:
        generations = engine.generate(PROMPTS, 12)
        assert engine.stats.eager == 0
    check_greedy(Reference(str(models / "target")), PROMPTS, generations, 1e-2)


def test_the_engine_in_bfloat16_stays_near_the_reference(
    engine_args: dict[str, object], models: Path
) -> None:
    with Engine.from_cell({**engine_args, "device": "cuda"}) as engine:
        assert engine.config.dtype == "bfloat16"
        generations = engine.generate(PROMPTS, 12)
    check_greedy(Reference(str(models / "target")), PROMPTS, generations, 0.2)


GENERATE = """
import json, sys
from harness.engine.engine import Engine
given = json.loads(sys.argv[1])
with Engine.from_cell(given["args"]) as engine:
    tokens = [g.tokens for g in engine.generate(given["prompts"], 12)]
print(json.dumps(tokens))
"""


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_ranks_over_nccl_answer_as_the_reference(
    engine_args: dict[str, object], models: Path, tmp_path: Path
) -> None:
    args = {**engine_args, "device": "cuda", "dtype": "float32"}
    ended = run_ranks(GENERATE, tmp_path, argument={"args": args, "prompts": PROMPTS})
    assert ended.codes == [0, 0], ended.errors
    generations = [Generation(tokens, [], None, []) for tokens in ended.answer]
    check_greedy(Reference(str(models / "target")), PROMPTS, generations, 1e-2)
    (captured,) = [event for event in ended.events if event["event"] == "captured"]
    assert captured["graphs"] == "cuda"
    assert captured["pool_bytes"] > 0


TREE: dict[str, object] = {"spec_topk": 3, "spec_steps": 3, "spec_draft_tokens": 8}
CASES: dict[str, dict[str, object]] = {
    "plain": {"speculative": False, "order": "ascending"},
    "chain": {"order": "descending"},
    "tree": {**TREE, "order": "ascending", "page_size": 4},
    "tree on large pages": {**TREE, "order": "descending", "page_size": 256, "max_context": 300},
    "split": {**TREE, "order": "descending", "attention_splits": 2},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_engine_on_every_backend_stays_near_the_reference(
    engine_args: dict[str, object], tmp_path: Path, backend: str, case: str
) -> None:
    splits = int(str(CASES[case].get("attention_splits", 0)))
    if reason := explain_absence(backend, "cuda") or explain_misfit(
        backend, page_size=1, dtype="bfloat16", head_dim=64, splits=splits
    ):
        pytest.skip(reason)
    changes = {"head_dim": 64, "max_position_embeddings": 512}
    target = save_target(tmp_path / "target", **changes)
    draft = save_draft(tmp_path / "draft", **changes)
    args = {**engine_args, "model": str(target), "draft_model": str(draft), "device": "cuda",
            "backend": backend, **CASES[case]}  # fmt: skip
    with Engine.from_cell(args) as engine:
        generations = engine.generate(PROMPTS, 12)
    check_greedy(Reference(str(target)), PROMPTS, generations, 0.2)


def test_each_role_may_have_a_backend_of_its_own(
    engine_args: dict[str, object], tmp_path: Path
) -> None:
    roles = {"prefill_backend": "torch_native", "decode_backend": "fa3", "draft_backend": "fa2"}
    if reasons := [why for name in roles.values() if (why := explain_absence(name, "cuda"))]:
        pytest.skip(reasons[0])
    target = save_target(tmp_path / "target", head_dim=64)
    draft = save_draft(tmp_path / "draft", head_dim=64)
    args = {**engine_args, **TREE, "model": str(target), "draft_model": str(draft),
            "device": "cuda", **roles}  # fmt: skip
    with Engine.from_cell(args) as engine:
        generations = engine.generate(PROMPTS, 12)
    check_greedy(Reference(str(target)), PROMPTS, generations, 0.2)
