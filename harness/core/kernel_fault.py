"""Which kernel a CUDA core dump blames, read from what cuda-gdb prints. Pure."""

import re
from collections.abc import Iterator

_EXCEPTION = re.compile(r"^(?:CUDA Exception: (.{1,200})|(Assertion failed)\.?)$", re.M)
_FRAME = re.compile(
    r"^#\d+\s+(?:0x[0-9a-f]+ in )?(.{1,4000}?)\s*<<<(\([\d,]+\)),\s*(\([\d,]+\))>>>", re.M
)
#: Where cuda-gdb breaks off before it prints the frame.
_TRIGGER = re.compile(
    r"^The exception was triggered at PC 0x[0-9a-f]+ +(?!\S+:\d+\)?$)(\S.{0,4000})$", re.M
)
_FOCUS = re.compile(
    r"Current focus set to CUDA kernel \d+, grid \d+,(?: cluster \([\d,]+\),)? "
    r"(block \([\d,]+\), thread \([\d,]+\), device \d+)"
)


def describe_fault(text: str) -> list[str]:
    """Return what cuda-gdb says of the fault: kernel, exception, place; empty if it names none."""
    return list(_read(text[: 1 << 20]))


def _read(text: str) -> Iterator[str]:
    frame = _FRAME.search(text)
    exception = _EXCEPTION.search(text)
    if frame:
        name = " ".join(frame[1].split())
        yield f"kernel: {name}, grid {frame[2]}, block {frame[3]}"
    elif trigger := _TRIGGER.search(text):
        yield f"kernel: {' '.join(trigger[1].split())}"
    if exception:
        yield f"exception: {(exception[1] or exception[2]).strip()}"
    if (frame or exception) and (focus := _FOCUS.search(text)):
        yield f"at: {focus[1]}"
