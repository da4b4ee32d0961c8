"""Reports each capture: in which order, of which size, into which pool, its bytes and seconds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..frames import read_locals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType, ModuleType

    from ..channel import Channel
    from ..events import Capture

#: What engines and scripts call the number that a graph is captured for, the surest first.
_SIZE_NAMES = ("num_tokens", "bs", "batch_size", "capture_bs", "batch", "desc", "size", "n")
#: Attributes of a description of a batch that hold the number.
_SIZE_ATTRIBUTES = ("num_tokens", "size")
_MOST_FRAMES = 60
_SKIPPED_MODULES = ("_harness_hook", "torch", "contextlib", "unittest.mock")


class CaptureReport:
    """Writes one `hook_capture` line for each graph."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._reserved = 0

    def on_import(self, module: ModuleType) -> None:
        """Called when graphs can be captured in this process."""
        self._channel.emit("ready", module=module.__name__)

    def before_capture(self, capture: Capture) -> None:
        """Find out who captures."""
        role, size, source = find_caller()
        capture.data["report"] = {"role": role, "bs": size, "size_from": source}
        if capture.kind == "recorded":
            self._reserved = _count_reserved(capture)

    def on_capture_begun(self, capture: Capture) -> None:
        """Count from here: torch reserves 2 MiB outside the pool to begin, for random numbers."""
        self._reserved = _count_reserved(capture)

    def after_capture(self, capture: Capture) -> None:
        """Write the line."""
        reserved = _count_reserved(capture)
        self._channel.emit(
            "capture",
            position=capture.number,
            graphs=capture.kind,
            pool="" if capture.pool is None else str(capture.pool),
            bytes=reserved - self._reserved,
            reserved=reserved,
            peak=_count_peak(capture),
            seconds=round(capture.seconds, 6),
            error=capture.error,
            **capture.data["report"],
        )


def make_part(argument: str, channel: Channel) -> CaptureReport:
    """Return the part. It takes no argument."""
    if argument:
        raise ValueError(f"it takes no argument, and was given {argument!r}")
    return CaptureReport(channel)


def find_caller() -> tuple[str, int | None, str]:
    """Return who captures, for which size, and the name of the variable that said so.

    Read from the frames that called the capture, innermost first: the first number that a function
    `capture...` was given, else a variable with a usual name.
    """
    frames = [*_iterate_frames()]
    found = next(filter(None, map(_find_argument, frames)), None)
    found = found or next(filter(None, map(_find_variable, frames)), None)
    if found is None:
        return (_name_frame(frames[0]) if frames else ""), None, ""
    return found


def _iterate_frames() -> Iterator[FrameType]:
    """Yield the frames of the code that captures, without those of torch and of the hook."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MOST_FRAMES):
        if frame is None:
            return
        module = str(frame.f_globals.get("__name__", "")).split(".")[0]
        if module not in _SKIPPED_MODULES:
            yield frame
        frame = frame.f_back


def _find_argument(frame: FrameType) -> tuple[str, int, str] | None:
    code = frame.f_code
    if not code.co_name.lstrip("_").startswith(("capture", "dummy_run")):
        return None
    return _find_size(frame, code.co_varnames[: code.co_argcount])


def _find_variable(frame: FrameType) -> tuple[str, int, str] | None:
    code = frame.f_code
    named = {*code.co_varnames, *code.co_cellvars, *code.co_freevars, *code.co_names}
    return _find_size(frame, [name for name in _SIZE_NAMES if name in named])


def _find_size(frame: FrameType, names: Sequence[str]) -> tuple[str, int, str] | None:
    """Return the first of these variables that is a size. Frames without them are not touched."""
    if not names:
        return None
    for name, value in zip(names, read_locals(frame, *names), strict=True):
        size = _read_size(value)
        if size is not None:
            return _name_frame(frame), size, name
    return None


def _read_size(value: Any) -> int | None:
    """Return a whole number above 0, or the one that a description of a batch holds."""
    if isinstance(value, int):
        return value if value > 0 and not isinstance(value, bool) else None
    if type(value).__module__.startswith(("torch", "builtins", "numpy")):
        return None  # a tensor's `size` is a method, and asking it must not run anything
    for name in _SIZE_ATTRIBUTES:
        held = getattr(value, name, None)
        if isinstance(held, int) and not isinstance(held, bool) and held > 0:
            return held
    return None


def _name_frame(frame: FrameType) -> str:
    owner = read_locals(frame, "self")[0] if "self" in frame.f_code.co_varnames else None
    return type(owner).__name__ if owner is not None else frame.f_code.co_name


def _count_reserved(capture: Capture) -> int:
    """Return the bytes that the graphs' allocator holds of the device now."""
    if capture.memory is not None:
        return sum(capture.memory.pool_bytes().values())
    torch: Any = sys.modules["torch"]
    return int(torch.cuda.memory_reserved())


def _count_peak(capture: Capture) -> int:
    """Return the most bytes in use at once so far."""
    if capture.memory is not None:
        return int(capture.memory.peak_bytes())
    torch: Any = sys.modules["torch"]
    return int(torch.cuda.max_memory_allocated())
