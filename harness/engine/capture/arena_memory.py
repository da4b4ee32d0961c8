"""The memory under recorded graphs: tensors at fixed addresses of one reserved address space."""

import mmap
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from harness.engine.capture.arena import Block, BlockAllocator

ARENA_BYTES = 1 << 30


class Arena:
    """Memory for the pools of recorded graphs: reserved address space, touched only as used."""

    def __init__(self, capacity: int = ARENA_BYTES) -> None:
        self.blocks = BlockAllocator(capacity)
        self._memory = mmap.mmap(-1, capacity)
        self._base = torch.frombuffer(self._memory, dtype=torch.uint8, count=1).data_ptr()
        self._live: list[tuple[Any, Block]] = []

    def place(self, like: Tensor, pool: str) -> Tensor:
        """An uninitialised tensor of `like`'s layout, in a block that lives as its storage."""
        self.collect()
        block = self.blocks.allocate(_measure_extent(like), pool)
        tensor = self._view(block.offset, like.dtype, like.size(), like.stride(), 0, block.size)
        self._live.append((_watch_storage(tensor), block))
        return tensor

    def collect(self) -> None:
        """Release the blocks whose storages have died."""
        for entry in [entry for entry in self._live if entry[0].expired()]:
            self._live.remove(entry)
            self.blocks.release(entry[1])

    def list_live(self) -> list[tuple[Any, Block]]:
        """Return the blocks whose storages live, each with a weak reference to its storage.

        An entry is the same object as long as its block has the same owner.
        """
        return [entry for entry in self._live if not entry[0].expired()]

    def get_address(self, block: Block) -> int:
        """Return where a block begins in memory."""
        return self._base + block.offset

    def holds(self, tensor: Tensor) -> bool:
        """Whether the tensor's storage stands in this arena."""
        return 0 <= tensor.untyped_storage().data_ptr() - self._base < self.blocks.capacity

    def twin(self, tensor: Tensor) -> Tensor:
        """The same addresses under another storage: holding it keeps no block from being reused."""
        storage = tensor.untyped_storage()
        return self._view(
            storage.data_ptr() - self._base,
            tensor.dtype,
            tensor.size(),
            tensor.stride(),
            int(tensor.storage_offset()),
            storage.nbytes(),
        )

    def _view(
        self,
        offset: int,
        dtype: torch.dtype,
        size: torch.Size,
        stride: tuple[int, ...],
        start: int,
        nbytes: int,
    ) -> Tensor:
        whole = torch.frombuffer(
            self._memory, dtype=dtype, offset=offset, count=nbytes // dtype.itemsize
        )
        return whole.as_strided(size, stride, start)


def _watch_storage(tensor: Tensor) -> Any:
    # Here and below: torch leaves these classes without annotations.
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def _measure_extent(tensor: Tensor) -> int:
    """Bytes from a dense tensor's first element to past its last."""
    if tensor.numel() == 0:
        return 0
    last = sum((n - 1) * step for n, step in zip(tensor.size(), tensor.stride(), strict=True))
    return (last + 1) * tensor.itemsize
