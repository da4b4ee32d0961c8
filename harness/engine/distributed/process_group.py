"""Collectives of torch.distributed: NCCL on CUDA, Gloo on the CPU.

An engine that ends in good order leaves its group to the next one of its process, as making and
destroying one takes NCCL 0.6 s. After anything else the next engine joins a group of its own under
a fresh name, so that a late message of an earlier engine can never meet a later one.
"""

import atexit
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
        self.name = choose_name(device.type)
        self.timeout_s = timeout_s
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

    def leave(self) -> None:
        """Keep the group for the next engine: every collective of this one has been waited for."""
        global _kept
        if _kept is None:
            atexit.register(drop_kept)
        _kept = self

    def close(self) -> None:
        """Destroy the group."""
        if dist.is_initialized():
            dist.destroy_process_group()


_kept: ProcessGroup | None = None


def choose_name(device: str) -> str:
    """Return torch's name of the collectives that a kind of device needs."""
    return "nccl" if device == "cuda" else "gloo"


def is_kept(device: str, timeout_s: float) -> bool:
    """Tell whether an earlier engine of this process left a group that fits. Rank 0 decides."""
    return _kept is not None and (_kept.name, _kept.timeout_s) == (choose_name(device), timeout_s)


def take_kept() -> ProcessGroup:
    """Return the group that the last engine left. Raises RuntimeError if there is none."""
    global _kept
    group, _kept = _kept, None
    if group is None:
        raise RuntimeError("rank 0 goes on with a process group that this rank has not kept")
    return group


def drop_kept() -> None:
    """Destroy the group that is kept, if any: a process can have one at a time."""
    global _kept
    group, _kept = _kept, None
    if group is not None:
        group.close()
