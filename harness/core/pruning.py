"""What of old runs to remove: evidence first, then logs, stored rows last. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from harness.core.errors import UsageError

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([hdw])")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.I)
_AGE_S = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_SIZE_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Layer(IntEnum):
    """A part of a run, in the order in which parts are removed."""

    EVIDENCE = 0
    FILES = 1
    ROWS = 2


@dataclass(frozen=True, slots=True)
class RunSize:
    """A run that has ended: when, in seconds since 1970, and the bytes of its parts."""

    run_id: str
    ended: float
    sizes: tuple[int, int, int]
    """By `Layer`."""


@dataclass(frozen=True, slots=True)
class Removal:
    """One part of one run that is to be removed."""

    run_id: str
    layer: Layer
    size: int


def read_age(text: str) -> float:
    """Return the seconds of `30d`, `12h` or `4w`. Raise UsageError for another text."""
    found = _AGE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"--older-than {text!r}: write a number and h, d or w, for example 30d")
    return float(found[1]) * _AGE_S[found[2]]


def read_size(text: str) -> int:
    """Return the bytes of `20G`, `500M` or `1048576`. Raise UsageError for another text."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"--max-size {text!r}: write a number and K, M, G or T, for example 20G")
    return int(float(found[1]) * _SIZE_BYTES[found[2].upper()])


def choose_removals(
    runs: Sequence[RunSize], now: float, older_than_s: float | None, max_bytes: int | None
) -> list[Removal]:
    """Return what to remove, in the order in which it is to be removed.

    All of the runs that ended longer ago than `older_than_s`; then, while more than `max_bytes` is
    left, the evidence of the oldest runs, their files, and last their rows. A part with no bytes is
    removed only with its run's rows.
    """
    oldest_first = sorted(runs, key=lambda run: run.ended)
    aged = [r for r in oldest_first if older_than_s is not None and now - r.ended > older_than_s]
    chosen = [Removal(r.run_id, layer, r.sizes[layer]) for layer in Layer for r in aged]
    if max_bytes is not None:
        young = [run for run in oldest_first if run not in aged]
        chosen += _shrink(young, max_bytes)
    return sorted(chosen, key=lambda removal: removal.layer)


def _shrink(runs: Sequence[RunSize], max_bytes: int) -> Iterator[Removal]:
    left = sum(sum(run.sizes) for run in runs)
    for layer in Layer:
        for run in runs:
            if left <= max_bytes:
                return
            if run.sizes[layer]:
                left -= run.sizes[layer]
                yield Removal(run.run_id, layer, run.sizes[layer])
