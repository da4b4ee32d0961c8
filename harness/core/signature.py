"""A failure's normalised fingerprint: equal for two failures that a person would call the same."""

import hashlib
import re

from harness.core.kinds import Exc

_LIMIT = 240

# Order matters: an address is also a number, a uuid holds numbers, a path holds all of them.
_MASKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]"), ""),
    (re.compile(r"(?:/[\w.@+-]+){2,}/?"), "<path>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<addr>"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{12,}\b"), "<hex>"),
    (re.compile(r"(?<![\w.])[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"), "<n>"),
    (re.compile(r"(?<=[A-Za-z_])[0-9]+\b"), "<n>"),
    (re.compile(r"[\x00-\x1f\x7f]+|\s+"), " "),
)


def normalise(text: str) -> str:
    """Mask what differs between two occurrences: addresses, numbers, paths, ids, colour."""
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text[:8192])
    return text.strip()[:_LIMIT]


def make_signature(exc: Exc) -> str:
    """`Type: normalised first line @ function`, from the innermost frame of no library."""
    name = exc.types[0].rpartition(".")[2] if exc.types else "Exception"
    first_line = next((line for line in exc.message.splitlines() if line.strip()), "")
    own = [frame for frame in exc.frames if "site-packages" not in frame.file]
    where = f" @ {own[-1].function}" if own else ""
    return f"{name}: {normalise(first_line)}"[: _LIMIT - len(where)] + where


def make_cause_signature(line: str, end: str) -> str:
    """`normalised cause (how it ended)`: the cause first, since lists are cut on the right."""
    return f"{normalise(line)[: _LIMIT - len(end) - 3]} ({end})"[:_LIMIT]


def fingerprint(signature: str) -> str:
    """A short id of a signature, stable across machines and versions."""
    return hashlib.sha256(signature.encode("utf-8", "replace")).hexdigest()[:10]
