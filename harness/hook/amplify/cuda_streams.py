"""Amplifiers of races between CUDA streams: some are delayed, and one of ours competes."""

import os
import random
import sys
import threading
from typing import TYPE_CHECKING, Any

from .cuda_memory import use_stream

if TYPE_CHECKING:
    from ..events import Capture

#: About 0.5 ms at 2 GHz.
DELAY_CYCLES = 1_000_000
_ENTRY_CHANCE = 0.5
_BUFFER_ELEMENTS = 16 << 20
_PASSES = 8


class Delay:
    """Delays streams by chance: one that is made the current one, and before each replay either
    the replay's own or the others that were seen.
    """

    def __init__(self) -> None:
        self._random = random.Random(f"delay {os.environ.get('HARNESS_SEED', '0')}")
        self._streams: dict[int, Any] = {}
        self._capturing = 0
        self._lock = threading.Lock()
        self._watch_streams()

    def before_capture(self, _: "Capture") -> None:
        """Called just before capture begins: nothing is launched meanwhile."""
        with self._lock:
            self._capturing += 1

    def after_capture(self, _: "Capture") -> None:
        """Called when capture has ended."""
        with self._lock:
            self._capturing -= 1

    def before_replay(self, _: "Capture") -> None:
        """Delay some streams."""
        if self._capturing:
            return
        torch: Any = sys.modules["torch"]
        own = torch.cuda.current_stream()
        others = [
            stream for handle, stream in [*self._streams.items()] if handle != own.cuda_stream
        ]
        for stream in others if self._random.random() < 0.5 else [own]:
            with use_stream(torch, stream.cuda_stream):
                torch.cuda._sleep(DELAY_CYCLES)

    def _watch_streams(self) -> None:
        """Learn of each stream that becomes the current one, and delay what comes on it."""
        torch: Any = sys.modules["torch"]
        enter = torch.cuda.StreamContext.__enter__

        def enter_and_delay(context: Any) -> Any:
            entered = enter(context)
            self._note(torch, context.stream)
            return entered

        torch.cuda.StreamContext.__enter__ = enter_and_delay

    def _note(self, torch: Any, stream: Any) -> None:
        # Streams that were only borrowed from other code may be gone later.
        if stream is None or isinstance(stream, torch.cuda.ExternalStream):
            return
        self._streams.setdefault(stream.cuda_stream, stream)
        is_capturing = self._capturing or torch.cuda.is_current_stream_capturing()
        if not is_capturing and self._random.random() < _ENTRY_CHANCE:
            torch.cuda._sleep(DELAY_CYCLES)


class Compete:
    """Keeps the device busy on a stream of its own while a graph is replayed."""

    def __init__(self) -> None:
        self._stream: Any = None
        self._buffer: Any = None
        self._capturing = 0
        self._lock = threading.Lock()

    def before_capture(self, _: "Capture") -> None:
        """Called just before capture begins: nothing is launched meanwhile."""
        with self._lock:
            self._capturing += 1

    def after_capture(self, _: "Capture") -> None:
        """Called when capture has ended."""
        with self._lock:
            self._capturing -= 1

    def before_replay(self, _: "Capture") -> None:
        """Launch work that goes on beside the replay."""
        if self._capturing:
            return
        torch: Any = sys.modules["torch"]
        with self._lock, torch.inference_mode():
            if self._stream is None:
                self._stream = torch.cuda.Stream()
                with torch.cuda.stream(self._stream):
                    self._buffer = torch.zeros(_BUFFER_ELEMENTS, device="cuda")
            # What is still going on is enough: the work must not pile up.
            if self._stream.query():
                with torch.cuda.stream(self._stream):
                    for _pass in range(_PASSES):
                        self._buffer.add_(1.0)
