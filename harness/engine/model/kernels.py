"""Triton kernels for a decode step on CUDA. Imported where tensors stand on a GPU alone.

A step of few rows is bound by reading weights, and by the number of kernels between them: each
costs a few microseconds whatever it computes. All arithmetic is in float32.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.runtime import cache

_SWIGLU_BLOCK = 1024
#: Rows of a weight and its columns that one program holds at once, and its warps: the fastest of
#: nine on an H100 (`benchmarks/gpu/row_products.py`, 2026-11-25).
ROW_BLOCKS = (2, 2048, 8)

# Triton hashes its own files once a process, 0.4 s on an H100's host, at the first launch. Here it
# does so at the import, which a zygote has done before it is forked.
if hasattr(cache, "triton_key"):
    cache.triton_key()


@triton.jit
def _rms_norm(values, weight, out, width, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * width
    at = tl.arange(0, BLOCK)
    inside = at < width
    given = tl.load(values + row + at, mask=inside, other=0.0).to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(given * given, axis=0) / width + eps)
    scaled = given * scale * tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row + at, scaled, mask=inside)


@triton.jit(debug=True)  # for its assertion: a write outside the pool would spoil a neighbour
def _rotate_and_store(
    heads, cos, signed_sin, slots, keys, values, query_heads, kv_heads, half, room,
    BLOCK: tl.constexpr,
):  # fmt: skip
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    at = tl.arange(0, BLOCK)
    inside = at < half
    source = heads + (row * (query_heads + 2 * kv_heads) + head) * 2 * half + at
    first = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(source + half, mask=inside, other=0.0).to(tl.float32)
    slot = tl.load(slots + row)
    tl.device_assert((slot >= 0) & (slot < room), "a KV slot outside the pool")
    if head < query_heads + kv_heads:
        angle = row * 2 * half + at
        cos_1 = tl.load(cos + angle, mask=inside, other=0.0).to(tl.float32)
        cos_2 = tl.load(cos + angle + half, mask=inside, other=0.0).to(tl.float32)
        sin_1 = tl.load(signed_sin + angle, mask=inside, other=0.0).to(tl.float32)
        sin_2 = tl.load(signed_sin + angle + half, mask=inside, other=0.0).to(tl.float32)
        turned = first * cos_1 + second * sin_1
        second = second * cos_2 + first * sin_2
        first = turned
    if head < query_heads:
        target = source
    elif head < query_heads + kv_heads:
        target = keys + (slot * kv_heads + head - query_heads) * 2 * half + at
    else:
        target = values + (slot * kv_heads + head - query_heads - kv_heads) * 2 * half + at
    tl.store(target, first, mask=inside)
    tl.store(target + half, second, mask=inside)


@triton.jit
def _swiglu(gate_up, out, width, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * width
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < width
    gate = tl.load(gate_up + 2 * row + at, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up + 2 * row + width + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row + at, gate * tl.sigmoid(gate) * up, mask=inside)


@triton.jit
def _multiply_row(
    values, weight, out, share, width, count,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, ADDS: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    at = tl.arange(0, BLOCK)
    known = rows < count
    places = weight + rows.to(tl.int64)[:, None] * width
    sums = tl.zeros((ROWS, BLOCK), tl.float32)
    for start in range(0, width, BLOCK):
        columns = start + at
        inside = columns < width
        given = tl.load(values + columns, mask=inside, other=0.0).to(tl.float32)
        part = tl.load(places + columns[None, :], mask=known[:, None] & inside[None, :], other=0.0)
        sums += part.to(tl.float32) * given[None, :]
    total = tl.sum(sums, axis=1)
    if ADDS:
        total += share * tl.load(out + rows, mask=known, other=0.0).to(tl.float32)
    tl.store(out + rows, total, mask=known)


def multiply_row(values: Tensor, weight: Tensor, out: Tensor, share: float | None = None) -> None:
    """Write `weight @ values` to `out`, plus `share` of what it held if that is given.

    values: [width], dense; weight: [count, width], dense; out: [count], dense. One row alone leaves
    nothing to do but reading the weight, which cuBLAS does at nine tenths of the copy's speed.
    """
    count, width = weight.shape
    rows, block, warps = ROW_BLOCKS
    _multiply_row[(triton.cdiv(count, rows),)](
        values, weight, out, 0.0 if share is None else share, width, count,
        ROWS=rows, BLOCK=block, ADDS=share is not None, num_warps=warps,
    )  # fmt: skip


def rms_norm(values: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See `ops.rms_norm`."""
    values, width = values.contiguous(), values.shape[-1]
    out = torch.empty_like(values)
    grid = (values.numel() // width,)
    block = triton.next_power_of_2(width)
    _rms_norm[grid](values, weight, out, width, eps, BLOCK=block, num_warps=8)
    return out


def rotate_and_store(
    heads: Tensor, cos: Tensor, signed_sin: Tensor, slots: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    """See `ops.rotate_and_store`. Heads, slots and pools are dense; slots are int64."""
    bs, count, number, dim = heads.shape
    kept = keys.shape[1]
    queries = number - 2 * kept
    _rotate_and_store[bs * count, number](
        heads, cos, signed_sin, slots.contiguous(), keys, values, queries, kept, dim // 2,
        len(keys), BLOCK=triton.next_power_of_2(dim // 2), num_warps=1,
    )  # fmt: skip
    return heads[:, :, :queries]


def swiglu(gate_up: Tensor) -> Tensor:
    """See `ops.swiglu`."""
    gate_up, width = gate_up.contiguous(), gate_up.shape[-1] // 2
    out = gate_up.new_empty(*gate_up.shape[:-1], width)
    grid = (out.numel() // width, triton.cdiv(width, _SWIGLU_BLOCK))
    _swiglu[grid](gate_up, out, width, BLOCK=_SWIGLU_BLOCK, num_warps=4)
    return out
