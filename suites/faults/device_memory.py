"""Memory as a CUDA device has it: blocks at fixed addresses, free once dropped, with neighbours.

On a GPU this is torch's caching allocator. On the CPU a tensor of torch's own would not do: a
recorded graph holds it, so that it could neither dangle nor have neighbours. There, blocks come
from the arena of the recorded graphs, in a pool of their own, and the allocator's rules hold.
"""

import ctypes
from unittest import mock

import torch
from torch import Tensor

from harness.engine.capture import memory
from harness.engine.capture.arena_memory import ARENA_BYTES
from harness.engine.capture.graph import GraphMemory
from harness.engine.capture.recorded import RecordedMemory

#: The pool of everything that is allocated outside capture.
DEFAULT_POOL = "default"


class DeviceMemory:
    """The memory of one engine: its graphs' pools, and what is allocated beside them."""

    def __init__(self, capacity: int = ARENA_BYTES) -> None:
        """`capacity`: bytes that a CPU has for all of it."""
        self._recorded = RecordedMemory(capacity)
        self._make = memory.make_graph_memory

    def empty(self, *size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return an uninitialised tensor: whatever its block held before."""
        if device.type == "cuda":
            return torch.empty(size, dtype=dtype, device=device)
        return self._recorded._arena.place(torch.empty(size, dtype=dtype), DEFAULT_POOL)

    def holds(self, tensor: Tensor) -> bool:
        """Return whether a tensor is in device memory, and not in the CPU's heap."""
        return tensor.device.type == "cuda" or self._recorded._arena.holds(tensor)

    def make_graph_memory(self, device: torch.device) -> GraphMemory:
        """Return the memory that the engine captures in."""
        return self._make(device) if device.type == "cuda" else self._recorded

    def patch(self) -> "mock._patch[object]":
        """Let the next engine capture in this memory."""
        return mock.patch.object(memory, "make_graph_memory", self.make_graph_memory)


def view_unchecked(tensor: Tensor, count: int) -> Tensor:
    """Return `count` elements from a tensor's address on, whatever its size: a kernel's pointer."""
    nbytes = count * tensor.itemsize
    if tensor.device.type == "cpu":
        raw = (ctypes.c_char * nbytes).from_address(tensor.data_ptr())
        return torch.frombuffer(raw, dtype=tensor.dtype)
    storage = torch._C._construct_storage_from_data_pointer(
        tensor.data_ptr(), tensor.device, nbytes
    )
    typed = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return typed.set_(storage, 0, (count,), (1,))
