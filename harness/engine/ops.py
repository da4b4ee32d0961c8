"""The steps between matrix products: PyTorch's operators on the CPU, one kernel each on CUDA.

Triton is heavy, and absent without CUDA: it is imported at the first use on a GPU.
"""

import torch
from torch import Tensor
from torch.nn.functional import silu


def rms_norm(values: Tensor, weight: Tensor, eps: float) -> Tensor:
    """[..., width] scaled to a root mean square of one, times `weight` [width]."""
    if values.is_cuda:
        from harness.engine import kernels

        return kernels.rms_norm(values, weight, eps)
    return torch.nn.functional.rms_norm(values, weight.shape, weight, eps)


def rotate(heads: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn [bs, n, heads, head_dim] by cosines and signed sines, [bs, n, 1, head_dim] each.

    Rolling by half a head swaps the halves; the sign of rotate-half is kept in the sine.
    """
    cos, signed_sin = angles
    if heads.is_cuda:
        from harness.engine import kernels

        return kernels.rotate(heads, cos, signed_sin)
    return torch.addcmul(heads * cos, heads.roll(heads.shape[-1] // 2, -1), signed_sin)


def swiglu(gate_up: Tensor) -> Tensor:
    """[..., 2 * width], gates before what they gate, to silu(gate) * up [..., width]."""
    if gate_up.is_cuda:
        from harness.engine import kernels

        return kernels.swiglu(gate_up)
    gate, up = gate_up.chunk(2, dim=-1)
    return silu(gate).mul_(up)
