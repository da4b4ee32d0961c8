"""Triton kernels for a decode step on CUDA. Imported where tensors stand on a GPU alone.

A step of few rows is bound by reading weights, and by the number of kernels between them: each
costs a few microseconds whatever it computes. All arithmetic is in float32.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_SWIGLU_BLOCK = 1024

# N803 is silenced below: Triton writes compile-time constants in capitals.


@triton.jit
def _rms_norm(values, weight, out, width, eps, BLOCK: tl.constexpr):  # noqa: N803
    row = tl.program_id(0).to(tl.int64) * width
    at = tl.arange(0, BLOCK)
    inside = at < width
    given = tl.load(values + row + at, mask=inside, other=0.0).to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(given * given, axis=0) / width + eps)
    scaled = given * scale * tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row + at, scaled, mask=inside)


@triton.jit
def _rotate(heads, cos, signed_sin, out, row_stride, half, BLOCK: tl.constexpr):  # noqa: N803
    row, head, count = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    at = tl.arange(0, BLOCK)
    inside = at < half
    source = heads + row * row_stride + head * 2 * half + at
    angle = row * 2 * half + at
    first = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(source + half, mask=inside, other=0.0).to(tl.float32)
    cos_1 = tl.load(cos + angle, mask=inside, other=0.0).to(tl.float32)
    cos_2 = tl.load(cos + angle + half, mask=inside, other=0.0).to(tl.float32)
    sin_1 = tl.load(signed_sin + angle, mask=inside, other=0.0).to(tl.float32)
    sin_2 = tl.load(signed_sin + angle + half, mask=inside, other=0.0).to(tl.float32)
    target = out + (row * count + head) * 2 * half + at
    tl.store(target, first * cos_1 + second * sin_1, mask=inside)
    tl.store(target + half, second * cos_2 + first * sin_2, mask=inside)


@triton.jit
def _swiglu(gate_up, out, width, BLOCK: tl.constexpr):  # noqa: N803
    row = tl.program_id(0).to(tl.int64) * width
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < width
    gate = tl.load(gate_up + 2 * row + at, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up + 2 * row + width + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row + at, gate * tl.sigmoid(gate) * up, mask=inside)


def rms_norm(values: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See `ops.rms_norm`."""
    values, width = values.contiguous(), values.shape[-1]
    out = torch.empty_like(values)
    grid = (values.numel() // width,)
    block = triton.next_power_of_2(width)
    _rms_norm[grid](values, weight, out, width, eps, BLOCK=block, num_warps=8)
    return out


def rotate(heads: Tensor, cos: Tensor, signed_sin: Tensor) -> Tensor:
    """See `ops.rotate`. A row's heads must follow each other without gaps."""
    bs, count, number, dim = heads.shape
    out = torch.empty(heads.shape, device=heads.device, dtype=heads.dtype)
    block = triton.next_power_of_2(dim // 2)
    grid = (bs * count, number)
    _rotate[grid](heads, cos, signed_sin, out, heads.stride(1), dim // 2, BLOCK=block, num_warps=1)
    return out


def swiglu(gate_up: Tensor) -> Tensor:
    """See `ops.swiglu`."""
    gate_up, width = gate_up.contiguous(), gate_up.shape[-1] // 2
    out = gate_up.new_empty(*gate_up.shape[:-1], width)
    grid = (out.numel() // width, triton.cdiv(width, _SWIGLU_BLOCK))
    _swiglu[grid](gate_up, out, width, BLOCK=_SWIGLU_BLOCK, num_warps=4)
    return out
