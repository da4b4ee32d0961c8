"""A failure's normalised fingerprint: equal for two failures that a person would call the same."""

import hashlib
import re
from collections.abc import Callable

from harness.core.kinds import Exc

#: Rises when equal failures get another text than before; kept with each run.
VERSION = 3

_LIMIT = 240
_Replace = Callable[["re.Match[str]"], str]

#: Numbers that say what happened, and not which one it happened to.
_TELLING = (
    r"\b(?:u?int|b?float|complex|fp|bf|FA|sm_?|utf|sha|eagle)[0-9]+\b|"
    r"\b(?:[Ee]xit|[Rr]eturn|[Ss]tatus|HTTP|[Ee]rrno)(?: ?code| status)?(?: |: ?|=)-?[0-9]{1,3}\b|"
    r"\b[Ee]rror [0-9]{3}\b"
)

_TEMPORARY = ("/tmp/", "/var/tmp/", "/var/folders/", "/dev/shm/", "/run/", "/proc/")
_SOURCE = re.compile(r"\.(?:py|cu|cuh|c|cc|cpp|h|hpp|rs|so)$")


def _mask_path(found: "re.Match[str]") -> str:
    """Keep a file's name, except in a temporary folder, where names are drawn; code has its own."""
    path = found[0].rstrip("/")
    if path.startswith(_TEMPORARY) and not _SOURCE.search(path):
        return "<path>"
    return f"<path>/{path.rpartition('/')[2]}"


# Order matters: an address is also a number, a uuid holds numbers, a path holds all of them.
_MASKS: tuple[tuple[re.Pattern[str], str | _Replace], ...] = (
    (re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]"), ""),
    (re.compile(r"\[rank\d+\]: "), ""),
    (re.compile(r"(?:/[\w.@+-]+){2,}/?"), _mask_path),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<addr>"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{12,}\b"), "<hex>"),
    (
        re.compile(
            rf"({_TELLING})|(?<![\w.])[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|"
            r"(?<=[A-Za-z_])[0-9]+\b"
        ),
        lambda found: found[1] or "<n>",
    ),
    (re.compile(r"<n> ?[KMGT]i?B\b"), "<size>"),
    (re.compile(r"[\x00-\x1f\x7f]+|\s+"), " "),
)


def normalise(text: str) -> str:
    """Mask what differs between two occurrences: addresses, numbers, paths, ids, colour."""
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text[:8192])
    return text.strip()[:_LIMIT]


#: Faults that a device reports later than they happen, at whatever call comes next.
_ASYNCHRONOUS = re.compile(
    r"(illegal (memory access|instruction|address)|misaligned address|unspecified launch failure|"
    r"device-side assert|invalid program counter|hardware stack error|"
    r"cudaError(IllegalAddress|Assert|LaunchFailure|MisalignedAddress)|"
    r"CUDA_ERROR_(ILLEGAL_ADDRESS|ASSERT|LAUNCH_FAILED|MISALIGNED_ADDRESS))",
    re.I,
)
_WHERE = re.compile(r" @ [^@()]*$")


def is_asynchronous(message: str) -> bool:
    """Return whether the line of code that noticed this fault may not be the one at fault."""
    return _ASYNCHRONOUS.search(message) is not None


def make_cluster_id(signature: str) -> str:
    """A short id that is equal for signatures which differ only in the normaliser's version."""
    text = normalise(signature)
    # Version 1 named the function that noticed an asynchronous fault.
    if is_asynchronous(text) and not text.endswith(")"):
        text = _WHERE.sub("", text)
    return fingerprint(text)


def make_signature(exc: Exc) -> str:
    """`Type: normalised first line @ function`, from the innermost frame of no library.

    Without the function for a fault of the device, which any later call may notice.
    """
    name = exc.types[0].rpartition(".")[2] if exc.types else "Exception"
    first_line = next((line for line in exc.message.splitlines() if line.strip()), "")
    late = is_asynchronous(first_line)
    own = [frame for frame in exc.frames if not late and "site-packages" not in frame.file]
    where = f" @ {own[-1].function}" if own else ""
    return f"{name}: {normalise(first_line)}"[: _LIMIT - len(where)] + where


def make_cause_signature(line: str, end: str) -> str:
    """`normalised cause (how it ended)`: the cause first, since lists are cut on the right."""
    return f"{normalise(line)[: _LIMIT - len(end) - 3]} ({end})"[:_LIMIT]


def fingerprint(signature: str) -> str:
    """A short id of a signature, stable across machines and versions."""
    return hashlib.sha256(signature.encode("utf-8", "replace")).hexdigest()[:10]
