"""Poison and canaries in free blocks of CUDA's caching allocator, outside graphs' pools.

Blocks are taken from the allocator, filled on their own stream, held through the replay and given
back. Written behind the allocator (a snapshot, then a memset), poison broke sound code in 2 of 8
runs on an H200, since other threads allocate meanwhile.

Free blocks of graphs' pools are left alone: a sound engine may drop what one graph hands to the
next, and only its own order of replays says when that is over.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..audit.allocator import DEFAULT_POOL, format_pool, leave_compiler_out
from ..audit.findings import Fault, Finding
from ..audit.model import Ownership
from ..audit.naming import name_graph

if TYPE_CHECKING:
    from ..events import Capture

#: Not a number as any float, -1 as any signed integer.
PATTERN = 0xFF
#: Bytes that are taken for one replay; the largest blocks are left then.
MOST_BYTES = 512 << 20
_SMALL = 1 << 20
_KEY = "amplify name"


class CudaBlocks:
    """Fills what is free before a replay. `check`: look afterwards whether somebody wrote there."""

    def __init__(self, report: Callable[[Finding], None], *, check: bool) -> None:
        self._report = report
        self._check = check
        self._capturing = 0
        self._lock = threading.Lock()
        self._held: dict[int, list[Any]] = {}

    def before_capture(self, capture: "Capture") -> None:
        """Called just before capture begins: from now on nothing may be allocated by us."""
        capture.data[_KEY] = name_graph(capture.number)
        with self._lock:
            self._capturing += 1

    def after_capture(self, _: "Capture") -> None:
        """Called when capture has ended."""
        with self._lock:
            self._capturing -= 1

    def before_replay(self, _: "Capture") -> None:
        """Take free blocks and fill them; the replay begins when that is done."""
        if self._capturing:
            return
        torch: Any = sys.modules["torch"]
        replays_on = torch.cuda.current_stream()
        held: list[Any] = []
        with leave_compiler_out(torch):
            segments = torch.cuda.memory_snapshot()
        for stream, sizes in list_free_blocks(segments).items():
            with use_stream(torch, stream):
                for size in sizes:
                    held.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
                    held[-1].fill_(PATTERN)
                replays_on.wait_stream(torch.cuda.current_stream())
        self._held[threading.get_ident()] = held

    def after_replay(self, capture: "Capture") -> None:
        """Wait for the replay, look at the blocks, and give them back."""
        held = self._held.pop(threading.get_ident(), [])
        if not held:
            return
        torch: Any = sys.modules["torch"]
        torch.cuda.current_stream().synchronize()
        if self._check:
            for block in held:
                self._look(torch, block, capture)

    def _look(self, torch: Any, block: Any, capture: "Capture") -> None:
        wrong = torch.nonzero(block != PATTERN)
        if len(wrong):
            name = capture.data.get(_KEY, f"graph {capture.number}")
            address = block.data_ptr() + int(wrong[0])
            self._report(
                Finding(
                    Fault.STRAY_WRITE, Ownership.FREED, name, "", "", 0, address, len(wrong)
                )
            )  # fmt: skip


def list_free_blocks(segments: list[dict[str, Any]]) -> dict[int, list[int]]:
    """Return the sizes of free blocks by stream, smallest first, up to MOST_BYTES in all.

    Segments of small blocks serve requests up to 1 MiB, others only larger ones.
    """
    found: list[tuple[int, int]] = []
    for segment in segments:
        if format_pool(segment["segment_pool_id"]) != DEFAULT_POOL:
            continue
        is_small = segment["segment_type"] == "small"
        for block in segment["blocks"]:
            size, stream = int(block["size"]), int(segment["stream"])
            if block["state"] != "inactive":
                continue
            if is_small:
                found += [(min(_SMALL, size - at), stream) for at in range(0, size, _SMALL)]
            elif size > _SMALL:
                found.append((size, stream))
    by_stream: dict[int, list[int]] = {}
    total = 0
    for size, stream in sorted(found):
        total += size
        if total <= MOST_BYTES:
            by_stream.setdefault(stream, []).append(size)
    return by_stream


@contextmanager
def use_stream(torch: Any, stream: int) -> Iterator[None]:
    """Make the stream of this handle the current one; 0 is the device's default stream."""
    chosen = torch.cuda.ExternalStream(stream) if stream else torch.cuda.default_stream()
    with torch.cuda.stream(chosen), torch.inference_mode():
        yield
