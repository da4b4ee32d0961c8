"""Reports each capture: in which order, of which size, into which pool, its bytes and seconds."""

import sys
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..channel import Channel
    from ..events import Capture

#: What engines and scripts call the number that a graph is captured for, the surest first.
_SIZE_NAMES = ("bs", "batch_size", "num_tokens", "capture_bs", "batch", "size", "n")
_MOST_FRAMES = 40
_OWN_MODULES = ("_harness_hook", "torch.", "contextlib")


class CaptureReport:
    """Writes one `hook_capture` line for each graph."""

    def __init__(self, channel: "Channel") -> None:
        self._channel = channel
        self._reserved = 0

    def on_import(self, module: ModuleType) -> None:
        """Called when graphs can be captured in this process."""
        self._channel.emit("ready", module=module.__name__)

    def before_capture(self, capture: "Capture") -> None:
        """Find out who captures, and what the pool's device had reserved."""
        role, size, source = find_caller()
        capture.data["report"] = {"role": role, "bs": size, "size_from": source}
        self._reserved = _count_reserved(capture)

    def after_capture(self, capture: "Capture") -> None:
        """Write the line."""
        self._channel.emit(
            "capture",
            position=capture.number,
            graphs=capture.kind,
            pool=_name_pool(capture),
            bytes=_count_reserved(capture) - self._reserved,
            seconds=round(capture.seconds, 6),
            error=capture.error,
            **capture.data["report"],
        )


def make_part(argument: str, channel: "Channel") -> CaptureReport:
    """Return the part. It takes no argument."""
    if argument:
        raise ValueError(f"report takes no argument: {argument!r}")
    return CaptureReport(channel)


def find_caller() -> tuple[str, int | None, str]:
    """Return who captures, for which size, and the name of the variable that said so.

    Read from the frames that called the capture, innermost first.
    """
    frame: FrameType | None = sys._getframe(1)
    role = ""
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        if not str(frame.f_globals.get("__name__", "")).startswith(_OWN_MODULES):
            role = role or _name_frame(frame)
            name = next((n for n in _SIZE_NAMES if _is_size(frame.f_locals.get(n))), "")
            if name:
                return role, frame.f_locals[name], name
        frame = frame.f_back
    return role, None, ""


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _name_frame(frame: FrameType) -> str:
    owner = frame.f_locals.get("self")
    return type(owner).__name__ if owner is not None else frame.f_code.co_name


def _name_pool(capture: "Capture") -> str:
    return "" if capture.pool is None else str(capture.pool)


def _count_reserved(capture: "Capture") -> int:
    """Return the bytes that graphs' memory takes from the device now."""
    if capture.memory is not None:
        return sum(capture.memory.pool_bytes().values())
    torch: Any = sys.modules["torch"]
    reserved: int = torch.cuda.memory_reserved()
    return reserved
