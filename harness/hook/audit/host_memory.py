"""Who owns host memory that a CUDA graph copies from or to.

Pinned memory is not in the snapshot of the device's allocator, and stays mapped when its tensor
dies: only the tensor's storage tells. Found through the garbage collector's list of tensors, which
takes tens of milliseconds and is done for graphs that use host memory alone.
"""

import gc
import sys
import weakref
from collections.abc import Collection
from typing import Any

from .model import Stack
from .stacks import take_stack


class HostOwner:
    """The storage that holds an address of the host, followed to its death."""

    def __init__(self, storage: Any, what: str) -> None:
        self.address = int(storage.data_ptr())
        self.size = int(storage.nbytes())
        self.what = what
        self.freed: list[Stack] = []
        self._storage = weakref.ref(storage)
        weakref.finalize(storage, _note_death, self.freed)

    @property
    def is_gone(self) -> bool:
        """Whether the storage has died, or has moved elsewhere."""
        storage = self._storage()
        return storage is None or int(storage.data_ptr()) != self.address

    def holds(self, address: int) -> bool:
        """Tell whether the address lies in the storage, which lives."""
        return self.address <= address < self.address + self.size and not self.is_gone


def find_host_owners(addresses: Collection[int]) -> dict[int, HostOwner]:
    """Return the owner of each host address that lies in some tensor's storage."""
    torch: Any = sys.modules["torch"]
    found: dict[int, HostOwner] = {}
    for value in gc.get_objects() if addresses else ():
        # Asked of the type: `isinstance` would call properties of objects that are none.
        if issubclass(type(value), torch.Tensor) and value.device.type == "cpu":
            _match(value, addresses, found)
    return found


def _match(tensor: Any, addresses: Collection[int], found: dict[int, HostOwner]) -> None:
    try:
        storage = tensor.untyped_storage()
        start, end = int(storage.data_ptr()), int(storage.data_ptr()) + int(storage.nbytes())
    except Exception:  # a tensor without storage, such as a sparse or a fake one
        return
    for address in addresses:
        if start <= address < end and address not in found:
            what = f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.size())}"
            found[address] = HostOwner(storage, what)


def _note_death(stacks: list[Stack]) -> None:
    stacks.append(take_stack())
