"""What the attention backends compute around their kernels, in float64 on the CPU.

The kernels themselves run on a GPU alone (test_attention_gpu.py). Here a kernel is a few lines of
its published contract, so that pages, slots, lengths, branches and their merge are exact or wrong.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from harness.engine.attention.base import AttentionBackend, AttentionShape
from harness.engine.attention.flash import FlashAttention, KernelCall
from harness.engine.attention.torch_native import TorchNative
from harness.engine.capture.recorded import RecordedMemory
from tests.engine.attention_cases import make_step

CPU, DOUBLE = torch.device("cpu"), torch.float64


def by_contract(call: KernelCall) -> tuple[Tensor, Tensor]:
    """flash_attn_with_kvcache as documented; an empty row's log-sum-exp is +inf, as FA2's is."""
    query, keys, values = call.query, call.keys, call.values
    lengths, page_table, causal = call.lengths, call.page_table, call.causal
    assert lengths.dtype is torch.int32
    assert call.splits == 3
    if page_table is not None:
        assert page_table.dtype is torch.int32
        keys, values = keys[page_table].flatten(1, 2), values[page_table].flatten(1, 2)
    count, width = query.shape[1], keys.shape[1]
    group = query.shape[2] // keys.shape[2]
    keys, values = (x.repeat_interleave(group, dim=2) for x in (keys, values))
    scores = torch.einsum("bnhd,bshd->bhns", query, keys) / query.shape[-1] ** 0.5
    ends = lengths[:, None] - torch.arange(count - 1, -1, -1) if causal else lengths[:, None]
    hidden = torch.arange(width) >= ends.expand(-1, count)[:, None, :, None]
    scores = scores.masked_fill(hidden, float("-inf"))
    weights = scores.softmax(-1).nan_to_num(0)
    lse = scores.logsumexp(-1)
    empty = lse.isinf()
    return torch.einsum("bhns,bshd->bnhd", weights, values), lse.masked_fill(empty, float("inf"))


def eager_flex() -> AttentionBackend:
    """Flex with the uncompiled function, which visits every block."""
    from torch.nn.attention.flex_attention import flex_attention

    from harness.engine.attention.flex import Flex

    return Flex(flex_attention)


BACKENDS: dict[str, Callable[[], AttentionBackend]] = {
    "native": lambda: FlashAttention(by_contract, "test", native=True, splits=3),
    "gathered": lambda: FlashAttention(by_contract, "test", native=False, splits=3),
    "flex": eager_flex,
    "torch_native": TorchNative,
}


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("tree", [False, True], ids=["causal", "tree"])
@pytest.mark.parametrize("page_size", [1, 3, 16])
@pytest.mark.parametrize("name", BACKENDS)
def test_a_step_is_attention_over_what_each_query_sees(
    name: str, page_size: int, tree: bool
) -> None:
    for heads, count in ((2, 1), (6, 5)):
        shape = AttentionShape(4, heads, 2, 8, 48 // page_size, page_size, CPU, DOUBLE)
        backend = BACKENDS[name]()
        backend.init_static_state(shape)
        step = make_step(shape, count, tree)
        for seed, bs in enumerate((4, 1, 3)):
            step.load(seed, bs)
            wanted = step.wanted(bs)
            backend.prepare(step.table[:bs])
            answer = step.run(backend, bs)
            torch.testing.assert_close(answer, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("name", BACKENDS)
def test_a_padding_row_of_a_tree_answers_something_finite(name: str) -> None:
    shape = AttentionShape(3, 4, 2, 8, 12, 4, CPU, DOUBLE)
    backend = BACKENDS[name]()
    backend.init_static_state(shape)
    step = make_step(shape, 3, tree=True)
    step.load(seed=1, bs=2)
    wanted = step.wanted(2)
    backend.prepare(step.table)
    answer = step.run(backend, 3)
    torch.testing.assert_close(answer[:2], wanted, rtol=1e-10, atol=1e-10)
    assert answer[2].isfinite().all()


def test_gathering_backends_name_their_workspace_and_native_ones_have_none() -> None:
    shape = AttentionShape(3, 4, 2, 8, 12, 4, CPU, DOUBLE)
    names = {}
    for name in ("native", "gathered"):
        backend = BACKENDS[name]()
        backend.init_static_state(shape)
        names[name] = set(backend.addresses())
    assert names["native"] == {"attention.page_table"}
    assert "attention.workspace" in names["gathered"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("page_size", [1, 16, 256])
def test_recorded_tree_steps_answer_as_attention_does_on_fresh_inputs(
    page_size: int, dtype: torch.dtype
) -> None:
    shape = AttentionShape(4, 4, 2, 16, 512 // page_size, page_size, CPU, dtype)
    backend = TorchNative()
    backend.init_static_state(shape)
    step = make_step(shape, 5, tree=True)
    memory = RecordedMemory(64 << 20)
    graphs = {}
    for bs in (4, 1, 2):
        step.load(0, bs)
        backend.prepare(step.table[:bs])
        graphs[bs] = memory.capture(lambda bs=bs: {"x": step.run(backend, bs)})  # type: ignore[misc]
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 1e-2}[dtype]
    for seed, (bs, raw) in enumerate([(1, 1), (4, 3), (2, 2), (4, 4), (2, 1)]):
        step.load(seed, raw)
        backend.prepare(step.table[:bs])
        wanted = step.wanted(raw)
        graphs[bs].replay()
        answer = graphs[bs].outputs["x"]
        assert answer.dtype is dtype
        torch.testing.assert_close(answer[:raw].double(), wanted, rtol=tolerance, atol=tolerance)
        assert answer.isfinite().all()
