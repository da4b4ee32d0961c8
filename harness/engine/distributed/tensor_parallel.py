"""The tensor-parallel group: its collectives, and the rendezvous that makes it.

Gloo on CPU, NCCL on CUDA. Each engine of a process joins a group of its own under a fresh name,
so that a late message of an earlier engine can never meet a later one.
"""

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import Store

# PyTorch 2.13 deprecates the longer name; 2.11 has no other.
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor


@dataclass(frozen=True, slots=True)
class TensorParallel:
    """One rank's place in the group. With one rank every collective is the identity."""

    rank: int = 0
    size: int = 1

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Sum over the ranks, in place; every rank gets the same bits."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def all_gather(self, tensor: Tensor) -> Tensor:
        """Join the ranks' [..., n] tensors in rank order to [..., size * n]."""
        if self.size == 1:
            return tensor
        tensor = tensor.contiguous()
        # Gloo takes ranks stacked along the first dimension, not along one of their own.
        shares = tensor.new_empty((self.size * tensor.shape[0], *tensor.shape[1:]))
        _all_gather(shares, tensor)
        return shares.view(self.size, *tensor.shape).movedim(0, -2).flatten(-2)


def join(rank: int, size: int, device: torch.device, store: Store, timeout_s: float) -> None:
    """Make the process group of one engine. Blocks until every rank is there.

    Raises torch.distributed's error where a rank does not come within `timeout_s` seconds.
    """
    on_cuda = device.type == "cuda"
    if on_cuda:
        # NVLink multicast needs fabric rights that shared machines withhold; the rings do not.
        os.environ.setdefault("NCCL_NVLS_ENABLE", "0")
    else:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group(
        "nccl" if on_cuda else "gloo",
        store=store,
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=timeout_s),
        device_id=device if on_cuda else None,
    )


def leave() -> None:
    """Destroy the process group. Graphs that hold its collectives must be freed before."""
    if dist.is_initialized():
        dist.destroy_process_group()
