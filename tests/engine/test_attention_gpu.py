"""Every attention backend on a CUDA device, eager and as CUDA graphs, against float64."""

from dataclasses import replace
from functools import partial
from itertools import product

import pytest
import torch

from harness.core.backends import BACKENDS, explain_absence, explain_misfit
from harness.engine.attention.base import AttentionBackend, AttentionShape
from harness.engine.attention.factories import make_backend
from harness.engine.capture.graph import Outputs
from harness.engine.config import EngineConfig
from tests.engine.attention_cases import Step, make_step

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

WIDTH = 768
#: The library compares bfloat16's 8 bits; FlashAttention also rounds the softmax's weights to them.
TOLERANCE = {"bfloat16": 1e-2, "float16": 2e-3}
#: flex compiles one kernel per size, at some seconds each.
SIZES = {"flex": (1, 3)}
KINDS = {"decode": (1, False), "verify": (5, False), "tree": (6, True)}
REPLAYS = 3


def build(name: str, dtype: str, dim: int, page_size: int, splits: int = 0) -> AttentionBackend:
    """The backend, or a skip that says why this machine's build cannot run the case."""
    reason = explain_absence(name, "cuda") or explain_misfit(
        name, page_size=page_size, dtype=dtype, head_dim=dim, splits=splits
    )
    if reason:
        pytest.skip(reason)
    config = EngineConfig(
        "none", device="cuda", dtype=dtype, page_size=page_size, attention_splits=splits
    )
    return make_backend(name, config, dim)


def prepare(
    name: str, kind: str, dtype: str, dim: int, heads: tuple[int, int], page_size: int,
    splits: int = 0,
) -> tuple[AttentionBackend, Step, tuple[int, ...]]:  # fmt: skip
    """A backend with its static state, inputs for it, and the batch sizes to capture."""
    backend = build(name, dtype, dim, page_size, splits)
    sizes = SIZES.get(name, (1, 2, 3, 4, 5))
    shape = AttentionShape(
        max(sizes), *heads, dim, WIDTH // page_size, page_size,
        torch.device("cuda", 0), getattr(torch, dtype),
    )  # fmt: skip
    backend.init_static_state(shape)
    return backend, make_step(shape, *KINDS[kind]), sizes


def run_step(step: Step, backend: AttentionBackend, bs: int) -> Outputs:
    return {"x": step.run(backend, bs)}


def check(step: Step, answer: torch.Tensor, bs: int, dtype: str) -> None:
    tolerance = TOLERANCE[dtype]
    wanted = step.wanted(bs)
    torch.testing.assert_close(answer[:bs].double(), wanted, rtol=tolerance, atol=tolerance)
    assert answer.isfinite().all()


@pytest.mark.parametrize("heads", [(4, 4), (8, 2)], ids=["mha", "gqa"])
@pytest.mark.parametrize("page_size", [1, 16, 256])
@pytest.mark.parametrize("dim", [64, 128])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BACKENDS)
@torch.inference_mode()
def test_graphs_of_both_orders_answer_as_attention_does(
    name: str, kind: str, dtype: str, dim: int, page_size: int, heads: tuple[int, int]
) -> None:
    from harness.engine.capture.cuda import CudaMemory

    backend, step, sizes = prepare(name, kind, dtype, dim, heads, page_size)
    for order in (sizes, sizes[::-1]):
        memory, graphs = CudaMemory(step.table.device), {}
        for bs in order:
            step.load(0, bs)
            backend.prepare(step.table[:bs])
            run = partial(run_step, step, backend, bs)
            memory.warm_up(run)
            graphs[bs] = memory.capture(run)
        for seed, bs in product(range(1, REPLAYS + 1), sizes):
            raw = max(1, bs - (seed == 2))  # Once with a padding row.
            step.load(10 * seed + bs, raw)
            backend.prepare(step.table[:bs])
            graphs[bs].replay()
            check(step, graphs[bs].outputs["x"], raw, dtype)
            check(step, step.run(backend, raw), raw, dtype)
        graphs.clear()
        memory.close()


@pytest.mark.parametrize("page_size", [16, 256])
@pytest.mark.parametrize("name", BACKENDS)
@torch.inference_mode()
def test_a_tree_of_64_nodes_is_verified(name: str, page_size: int) -> None:
    backend = build(name, "bfloat16", 64, page_size)
    device = torch.device("cuda", 0)
    shape = AttentionShape(2, 8, 2, 64, WIDTH // page_size, page_size, device, torch.bfloat16)
    backend.init_static_state(shape)
    step = make_step(shape, 64, tree=True)
    for seed in range(2):
        step.load(seed, 2)
        backend.prepare(step.table)
        check(step, step.run(backend, 2), 2, "bfloat16")


@pytest.mark.parametrize("splits", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["fa2", "fa3"])
@torch.inference_mode()
def test_a_fixed_number_of_splits_changes_no_answer(name: str, kind: str, splits: int) -> None:
    backend, step, sizes = prepare(name, kind, "bfloat16", 64, (8, 2), 256, splits)
    for bs in sizes:
        step.load(bs, bs)
        backend.prepare(step.table[:bs])
        check(step, step.run(backend, bs), bs, "bfloat16")


@pytest.mark.parametrize("name", BACKENDS)
@torch.inference_mode()
def test_a_long_prompt_is_causal(name: str) -> None:
    backend = build(name, "bfloat16", 64, 16)
    device = torch.device("cuda", 0)
    shape = AttentionShape(2, 4, 2, 64, 48, 16, device, torch.bfloat16)
    backend.init_static_state(shape)
    step = make_step(shape, 300, tree=False)
    for seed in range(2):
        step.load(seed, 2)
        backend.prepare(step.table)
        check(step, step.run(backend, 2), 2, "bfloat16")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BACKENDS)
@torch.inference_mode()
def test_replays_allocate_nothing(name: str, kind: str) -> None:
    from harness.engine.capture.cuda import CudaMemory

    backend, step, sizes = prepare(name, kind, "bfloat16", 64, (8, 2), 16)
    bs = max(sizes)
    step.load(1, bs)
    backend.prepare(step.table)
    memory = CudaMemory(step.table.device)
    memory.warm_up(lambda: {"x": step.run(backend, bs)})
    graph = memory.capture(lambda: {"x": step.run(backend, bs)})
    before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    for _ in range(200):
        backend.prepare(step.table)
        graph.replay()
    torch.cuda.synchronize()
    assert (torch.cuda.memory_allocated(), torch.cuda.memory_reserved()) == before
    check(step, graph.outputs["x"], bs, "bfloat16")


@pytest.mark.parametrize("page_size", [1, 256])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("module", BACKENDS["fa3"].modules)
@torch.inference_mode()
def test_every_library_of_fa3_answers_as_attention_does(
    module: str, kind: str, page_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, "fa3", replace(BACKENDS["fa3"], modules=(module,)))
    backend, step, sizes = prepare("fa3", kind, "bfloat16", 128, (8, 2), page_size)
    assert backend.library == module
    for bs in sizes:
        step.load(bs, bs)
        backend.prepare(step.table[:bs])
        check(step, step.run(backend, bs), bs, "bfloat16")
