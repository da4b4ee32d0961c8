"""What compute-sanitizer's memcheck reports, read from what it prints. Pure."""

import re
from collections.abc import Iterator

_MOST_CHARACTERS = 4 << 20
_MOST_ERRORS = 8
_PREFIX = re.compile(r"^=========[ \t]?(.*)$", re.M)
_HEAD = re.compile(r"Invalid (?:__\w+__ )?\w+ of size|Program hit |Out-of-range|Misaligned|Leaked ")
_KERNEL = re.compile(
    r"at (?:0x[0-9a-f]+ in (?P<old>\S.{0,2000})|"
    r"(?P<new>\S.{0,2000}?)(?::|\+)0x[0-9a-f]+(?P<place> in .{1,400})?)$"
)
_SUMMARY = re.compile(r"ERROR SUMMARY: (\d+) error")


def describe_errors(text: str) -> list[str]:
    """Return the first of each kind of error: what, the kernel, which address; empty if none."""
    lines = [one[1].strip() for one in _PREFIX.finditer(text[:_MOST_CHARACTERS])]
    starts = [n for n, line in enumerate(lines) if _HEAD.match(line)]
    found: dict[str, None] = {}
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        if len(found) < _MOST_ERRORS:
            found.setdefault(", ".join(_describe(lines[start:end])))
    return list(found)


def count_errors(text: str) -> int:
    """Return how many errors memcheck counts itself, over all processes of one text."""
    return sum(int(one[1]) for one in _SUMMARY.finditer(text[-_MOST_CHARACTERS:]))


def _describe(lines: list[str]) -> Iterator[str]:
    yield lines[0]
    for line in lines[1:]:
        kernel = _KERNEL.match(line)
        if kernel:
            yield f"kernel {' '.join((kernel['old'] or kernel['new']).split())}"
        elif "bytes after the nearest allocation" in line or "bytes before the nearest" in line:
            yield re.sub(r"0x[0-9a-f]+", "an address", line.removeprefix("and is "))
        elif line.endswith("is misaligned"):
            yield "the address is misaligned"
        elif not line or line.startswith("Saved host backtrace"):
            return
