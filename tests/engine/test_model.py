"""The engine's model and attention against independent code, in float64 where it can be exact."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.engine.attention.base import AttentionShape
from harness.engine.attention.torch_native import TorchNative
from harness.engine.cache.pool import LayerCache, allocate_pool, find_slots, split_layers
from harness.engine.distributed.tensor_parallel import TensorParallel
from harness.engine.model import checkpoint, shape
from harness.engine.model.llama import Llama, Rotary
from harness.engine.oracles.reference import Reference
from tests.engine.conftest import save_target

CPU, DOUBLE = torch.device("cpu"), torch.float64


def attention_by_loops(query: Tensor, keys: Tensor, values: Tensor, position: int) -> Tensor:
    """One query [heads, dim] over [len, KV heads, dim], term by term."""
    heads, dim = query.shape
    answer = torch.zeros_like(query)
    for head in range(heads):
        group = head // (heads // keys.shape[1])
        seen = range(position + 1)
        scores = torch.stack([query[head] @ keys[p, group] / dim**0.5 for p in seen])
        for p, weight in enumerate(scores.softmax(0)):
            answer[head] += weight * values[p, group]
    return answer


@pytest.mark.parametrize("page_size", [1, 3, 4])
def test_paged_attention_is_attention_term_by_term(page_size: int) -> None:
    rows, heads, kv_heads, dim, pages = 3, 4, 2, 8, 12 // page_size
    generator = torch.Generator().manual_seed(page_size)
    backend = TorchNative()
    backend.init_static_state(
        AttentionShape(4, heads, kv_heads, dim, pages, page_size, CPU, DOUBLE)
    )
    (cache,) = split_layers(
        allocate_pool((1, 2, (rows * pages + 1) * page_size, kv_heads, dim), CPU, DOUBLE)
    )
    order = torch.randperm(rows * pages, generator=generator) + 1
    table = order.view(rows, pages)
    history = torch.randn(2, rows, 12, kv_heads, dim, generator=generator, dtype=DOUBLE)
    slots = find_slots(table, torch.arange(12).expand(rows, -1), page_size)
    cache.keys[slots], cache.values[slots] = history[0], history[1]
    positions = torch.tensor([[0, 1], [4, 5], [10, 11]])
    query = torch.randn(rows, 2, heads, dim, generator=generator, dtype=DOUBLE)
    new = torch.randn(2, rows, 2, kv_heads, dim, generator=generator, dtype=DOUBLE)
    backend.prepare(table)
    backend.bind(positions)
    cache.keys[backend.writes], cache.values[backend.writes] = new[0], new[1]
    answer = backend.forward(query, cache).view(rows, 2, heads, dim)
    for row in range(rows):
        history[:, row, positions[row]] = new[:, row]
        for q in range(2):
            wanted = attention_by_loops(
                query[row, q], history[0, row], history[1, row], int(positions[row, q])
            )
            torch.testing.assert_close(answer[row, q], wanted, rtol=1e-12, atol=1e-12)


def build(folder: Path, positions: int) -> tuple[Llama, TorchNative, list[LayerCache]]:
    """The engine's model at float64, one rank."""
    config = shape.read_config(str(folder))
    weights = checkpoint.load_target(str(folder), config, checkpoint.Shard(0, 1, CPU, DOUBLE))
    heads = (config.num_attention_heads, config.num_key_value_heads, config.head_dim)
    pool = allocate_pool((config.num_hidden_layers, 2, positions + 1, *heads[1:]), CPU, DOUBLE)
    cache = split_layers(pool)
    backend = TorchNative()
    backend.init_static_state(AttentionShape(1, *heads, positions, 1, CPU, DOUBLE))
    rotary = Rotary(config, positions, CPU, DOUBLE)
    return Llama(config, weights, rotary, cache, TensorParallel()), backend, cache


@pytest.mark.parametrize(
    "changes", [{}, {"num_key_value_heads": 4}, {"num_key_value_heads": 1, "num_hidden_layers": 3}],
    ids=str,
)  # fmt: skip
def test_the_model_is_the_reference_in_float64(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = save_target(tmp_path, **changes)
    model, backend, _ = build(folder, 24)
    tokens = torch.randint(0, 29, (1, 20), generator=torch.Generator().manual_seed(1))
    backend.prepare(torch.arange(1, 25).unsqueeze(0))
    # In two parts, so that the second attends to what the first left in the pool.
    parts = [(0, 13), (13, 20)]
    logits = [
        model.logits(model.forward(tokens[:, a:b], torch.arange(a, b).unsqueeze(0), backend))
        for a, b in parts
    ]
    wanted = Reference(str(folder), DOUBLE).logits(tokens.tolist())[0]
    torch.testing.assert_close(torch.cat(logits, 1)[0], wanted, rtol=1e-9, atol=1e-9)


def test_the_ranks_shares_of_a_checkpoint_join_to_the_whole(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.engine.model.shape.SPLIT_VOCABULARY", 1)
    folder = str(models / "target")
    config = shape.read_config(folder)
    whole, *parts = (
        checkpoint.load_target(folder, config, checkpoint.Shard(rank, size, CPU, DOUBLE))
        for rank, size in ((0, 1), (0, 2), (1, 2))
    )
    down = torch.cat([part.layers[0].down for part in parts], 1)
    assert torch.equal(down, whole.layers[0].down)
    joined = torch.cat([part.lm_head for part in parts])
    assert torch.equal(joined[:29], whole.lm_head)
    assert not joined[29:].any()


def test_more_rows_of_logits_than_reserved_are_refused(models: Path) -> None:
    model, _, _ = build(models / "target", 4)
    model.reserve_logits(20)
    with pytest.raises(ValueError, match="21 rows of logits do not fit the 20 reserved"):
        model.write_logits(torch.zeros(21, 1, 32, dtype=DOUBLE))
