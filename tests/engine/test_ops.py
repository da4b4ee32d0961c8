"""The steps between matrix products against their formulas in float64, on every device there is."""

import pytest
import torch
from torch import Tensor

from harness.engine.cache.pool import LayerCache
from harness.engine.model import ops

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
        ],
    ),
]
#: (dtype, largest relative difference that rounding makes of sums over some hundred terms)
DTYPES = [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)]

pytestmark = [
    pytest.mark.parametrize("device", DEVICES),
    pytest.mark.parametrize(("dtype", "tolerance"), DTYPES, ids=["float32", "bfloat16"]),
    pytest.mark.parametrize("rows", [1, 3]),
]


def drawn(device: str, dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(*shape, device=device, dtype=torch.float64).to(dtype)


def check(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    assert found.shape == wanted.shape
    far = (found.double() - wanted).abs().max() / wanted.abs().max()
    assert float(far) < tolerance


@pytest.mark.parametrize("width", [96, 4096])
def test_rms_norm(device: str, dtype: torch.dtype, tolerance: float, rows: int, width: int) -> None:
    values, weight = drawn(device, dtype, rows, 2, width), drawn(device, dtype, width)
    wide = values.double()
    wanted = wide / (wide.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * weight.double()
    check(ops.rms_norm(values, weight, 1e-5), wanted, tolerance)


@pytest.mark.parametrize("dim", [16, 96, 128])
def test_rotate_and_store_turns_queries_and_keys_and_writes_keys_and_values(
    device: str, dtype: torch.dtype, tolerance: float, rows: int, dim: int
) -> None:
    heads = drawn(device, dtype, rows, 2, 7, dim)  # 3 of queries, 2 each of keys and values
    angles = drawn(device, torch.float32, rows, 2, 1, dim // 2).double()
    cos = torch.cat([angles.cos()] * 2, -1).to(dtype)
    signed_sin = torch.cat([-angles.sin(), angles.sin()], -1).to(dtype)
    wide = heads.double()
    first, second = wide[:, :, :5].chunk(2, -1)
    turned = torch.cat(
        [
            first * angles.cos() - second * angles.sin(),
            second * angles.cos() + first * angles.sin(),
        ],
        -1,
    )
    pool = drawn(device, dtype, 2, 20, 2, dim)
    wanted = pool.double()
    slots = torch.randperm(20, device=device)[: rows * 2].view(rows, 2)
    wanted[0, slots], wanted[1, slots] = turned[:, :, 3:], wide[:, :, 5:]
    queries = ops.rotate_and_store(heads, (cos, signed_sin), slots, LayerCache(pool[0], pool[1]))
    check(queries, turned[:, :, :3], tolerance)
    check(pool, wanted, tolerance)


@pytest.mark.parametrize(("count", "width"), [(40, 48), (1027, 4096), (513, 14336)])
def test_products_with_a_weight(
    device: str, dtype: torch.dtype, tolerance: float, rows: int, count: int, width: int
) -> None:
    values, weight = drawn(device, dtype, rows, 1, width), drawn(device, dtype, count, width)
    wanted = values.double() @ weight.double().t()
    check(ops.multiply(values, weight), wanted, tolerance)
    buffer = torch.empty(rows, count, device=device, dtype=dtype)
    check(ops.multiply(values, weight, out=buffer), wanted[:, 0], tolerance)
    held = drawn(device, dtype, rows, 1, count)
    summed = held.double() + wanted
    ops.add_product(held, values, weight, 1.0)
    check(held, summed, tolerance)
    ops.add_product(held, values, weight, 0.0)
    check(held, wanted, tolerance)


@pytest.mark.parametrize("width", [48, 1500])
def test_swiglu(device: str, dtype: torch.dtype, tolerance: float, rows: int, width: int) -> None:
    gate_up = drawn(device, dtype, rows, 1, 2 * width)
    gate, up = gate_up.double().chunk(2, -1)
    check(ops.swiglu(gate_up), gate * gate.sigmoid() * up, tolerance)
