"""The steps between matrix products: PyTorch's operators on the CPU, one kernel each on CUDA.

Triton is heavy, and absent without CUDA: it is imported at the first use on a GPU.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear, silu

from harness.engine.cache.pool import LayerCache

#: Weights of fewer numbers are read so fast that a kernel of our own gains nothing.
_LARGE_WEIGHT = 1 << 22


def multiply(values: Tensor, weight: Tensor, out: Tensor | None = None) -> Tensor:
    """[..., width] times a weight [count, width] to [..., count], written to `out` if it is given.

    out: dense, with the answer's shape or its rows flattened.
    """
    if not _is_one_large_row(values, weight):
        if out is None:
            return linear(values, weight)
        torch.mm(values.flatten(0, -2), weight.t(), out=out.view(-1, len(weight)))
        return out
    from harness.engine.model import kernels

    found = values.new_empty(*values.shape[:-1], len(weight)) if out is None else out
    kernels.multiply_row(values.contiguous(), weight, found)
    return found


def add_product(target: Tensor, values: Tensor, weight: Tensor, share: float) -> None:
    """Scale a dense target [..., count] by `share`, and add the product as `multiply` has it."""
    if _is_one_large_row(values, weight):
        from harness.engine.model import kernels

        kernels.multiply_row(values.contiguous(), weight, target, share)
    else:
        rows = target.view(-1, target.shape[-1])
        rows.addmm_(values.flatten(0, -2), weight.t(), beta=share)


def _is_one_large_row(values: Tensor, weight: Tensor) -> bool:
    is_large = weight.numel() >= _LARGE_WEIGHT and weight.is_contiguous()
    return values.is_cuda and values.numel() == values.shape[-1] and is_large


def rms_norm(values: Tensor, weight: Tensor, eps: float) -> Tensor:
    """[..., width] scaled to a root mean square of one, times `weight` [width]."""
    if values.is_cuda:
        from harness.engine.model import kernels

        return kernels.rms_norm(values, weight, eps)
    return torch.nn.functional.rms_norm(values, weight.shape, weight, eps)


def rotate_and_store(
    heads: Tensor, angles: tuple[Tensor, Tensor], slots: Tensor, cache: LayerCache
) -> Tensor:
    """Turn a step's queries in place, and write turned keys and values to [bs, n] pool slots.

    heads: [bs, n, query heads + 2 * KV heads, head_dim], queries before keys before values; angles:
    cosines and signed sines, [bs, n, 1, head_dim] each. Answers the queries, a view of `heads`.
    """
    if heads.is_cuda:
        from harness.engine.model import kernels

        return kernels.rotate_and_store(heads, *angles, slots, cache.keys, cache.values)
    kept = cache.keys.shape[1]
    query, key, value = torch.split(heads, [heads.shape[2] - 2 * kept, kept, kept], dim=2)
    cache.keys.index_copy_(0, slots.flatten(), _rotate(key, angles).flatten(0, 1))
    cache.values.index_copy_(0, slots.flatten(), value.flatten(0, 1))
    return query.copy_(_rotate(query, angles))


def _rotate(heads: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rolling by half a head swaps the halves; the sign of rotate-half is kept in the sine."""
    cos, signed_sin = angles
    return torch.addcmul(heads * cos, heads.roll(heads.shape[-1] // 2, -1), signed_sin)


def swiglu(gate_up: Tensor) -> Tensor:
    """[..., 2 * width], gates before what they gate, to silu(gate) * up [..., width]."""
    if gate_up.is_cuda:
        from harness.engine.model import kernels

        return kernels.swiglu(gate_up)
    gate, up = gate_up.chunk(2, dim=-1)
    return silu(gate).mul_(up)
