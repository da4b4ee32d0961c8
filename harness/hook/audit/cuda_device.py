"""The CUDA device as `concurrent.py` asks it: torch's streams and events, the driver's copies."""

import sys
from collections.abc import Collection
from typing import Any

from . import allocator
from .driver_api import Driver, DriverError


class CudaDevice:
    """The current device of the calling thread."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def get_stream(self) -> int:
        """Return the handle of the current stream; 0 for the default one."""
        torch: Any = sys.modules["torch"]
        return int(torch.cuda.current_stream().cuda_stream)

    def record(self, stream: int | None = None) -> Any:
        """Return an event, recorded on a stream or the current one."""
        torch: Any = sys.modules["torch"]
        if stream is None:
            return torch.cuda.current_stream().record_event()
        known = torch.cuda.ExternalStream(stream) if stream else torch.cuda.default_stream()
        return known.record_event()

    def read(self, address: int, size: int) -> bytes:
        """Return device memory; empty if it is not there."""
        try:
            return self._driver.copy_to_host(address, size)
        except DriverError:
            return b""

    def measure(self, addresses: Collection[int]) -> dict[int, int]:
        """Return, of each address inside a block now, how many bytes are left of the block."""
        blocks = allocator.read_blocks()
        found = ((address, blocks.find(address)) for address in addresses)
        return {at: block.address + block.size - at for at, block in found if block}
