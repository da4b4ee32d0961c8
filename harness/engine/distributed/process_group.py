"""Collectives of torch.distributed: NCCL on CUDA, Gloo on the CPU.

Each engine of a process joins a group of its own under a fresh name, so that a late message of an
earlier engine can never meet a later one.
"""

import os
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import Store

# PyTorch 2.13 deprecates the longer name; 2.11 has no other.
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor


class ProcessGroup:
    """The default group of torch.distributed."""

    def __init__(
        self, rank: int, size: int, device: torch.device, store: Store, timeout_s: float
    ) -> None:
        """Join the group. Blocks until every rank is there.

        Raises torch.distributed's error if a rank does not come within `timeout_s` seconds.
        """
        on_cuda = device.type == "cuda"
        self.name = "nccl" if on_cuda else "gloo"
        if on_cuda:
            # NVLink multicast needs fabric rights that shared machines withhold; rings do not.
            os.environ.setdefault("NCCL_NVLS_ENABLE", "0")
        else:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        dist.init_process_group(
            self.name,
            store=store,
            rank=rank,
            world_size=size,
            timeout=timedelta(seconds=timeout_s),
            device_id=device if on_cuda else None,
        )

    def all_reduce(self, tensor: Tensor) -> None:
        """See `Collectives.all_reduce`."""
        dist.all_reduce(tensor)

    def all_gather(self, shares: Tensor, tensor: Tensor) -> None:
        """See `Collectives.all_gather`."""
        _all_gather(shares, tensor)

    def close(self) -> None:
        """Destroy the group."""
        if dist.is_initialized():
            dist.destroy_process_group()
