"""One attempt for a person: what failed, where, what was kept of it. Pure."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.core.evidence import EvidenceIndex
from harness.core.kinds import Kind
from harness.core.records import AttemptRow
from harness.core.signature import VERSION, make_cluster_id

_MOST_LINES = 40
_ONCE = "once more, same seed, cell and environment"
_KERNEL_FAULTS = frozenset({Kind.ILLEGAL_ACCESS, Kind.DEVICE_ASSERT, Kind.CUDA_ERROR})
_MOST_CAPTURES = 64


@dataclass(frozen=True, slots=True)
class SimilarFailures:
    """Failed attempts of the whole store with the same signature, and the runs they are of."""

    attempts: int
    runs: int


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a heading; without a heading they stand alone."""

    heading: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class AttemptFiles:
    """What lies on disk of an attempt. `texts`: name and content of what is shown at once."""

    folder: str
    logs: Sequence[tuple[str, int]]
    evidence: EvidenceIndex
    texts: Sequence[tuple[str, str]]


def describe_attempt(
    row: AttemptRow, cell: str, files: AttemptFiles, similar: SimilarFailures
) -> Iterator[Section]:
    """Yield all that is known of an attempt, the most telling first."""
    yield Section(_write_title(row), _write_failure(row, similar))
    yield Section("made with", list(_write_origin(row, cell)))
    yield Section("captures", list(_write_captures(row)))
    yield Section("notes", row.notes)
    for name, text in files.texts:
        yield Section(name, _shorten(text.splitlines()))
    found = [*files.logs, *((f"evidence/{i.name}", i.size) for i in files.evidence.items)]
    what = {f"evidence/{item.name}": item.what for item in files.evidence.items}
    lines = [f"{name:<32} {format_size(size):>10}  {what.get(name, '')}" for name, size in found]
    yield Section(f"files in {files.folder}", [line.rstrip() for line in lines])
    missing = [f"{one.what}: {one.why}" for one in files.evidence.not_done]
    yield Section("not done", missing)
    yield Section("next", list(_write_commands(row)))


def _write_title(row: AttemptRow) -> str:
    what = f", {row.kind} in {row.phase}" if row.kind else ""
    return f"attempt {row.id}: {row.status}{what}"


def _write_failure(row: AttemptRow, similar: SimilarFailures) -> list[str]:
    if not row.signature:
        return []
    known = f"signature {make_cluster_id(row.signature)}, normaliser {VERSION}"
    attempts = f"{similar.attempts} attempt{'s' * (similar.attempts != 1)}"
    seen = f"in this store: {attempts} of {similar.runs} run{'s' * (similar.runs != 1)}"
    lines = [row.signature, f"({known}; {seen})"]
    lines += [f"test: {row.failed_test}"] if row.failed_test else []
    return [*lines, *_shorten((row.message or "").splitlines())]


def _write_origin(row: AttemptRow, cell: str) -> Iterator[str]:
    yield f"suite    {row.suite}"
    yield f"cell     {cell}"
    yield f"seed     {row.seed}, repeat {row.repeat}"
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.started))
    yield f"started  {started}, {row.wall_seconds:.1f} s"
    yield f"on       {', '.join(row.devices)} of {row.node}, {row.isolation}, keeper {row.zygote}"


def _write_captures(row: AttemptRow) -> Iterator[str]:
    capture = row.capture
    if not capture.trace:
        return
    yield (
        f"{len(capture.trace)} {capture.graphs} graphs, order {capture.observed} "
        f"(asked for: {capture.requested or '-'}), pool {format_size(capture.pool_bytes)}"
    )
    names = [f"{one.get('role', '?')}/{one.get('bs', '?')}" for one in capture.trace]
    left = len(names) - _MOST_CAPTURES
    yield " ".join(names[:_MOST_CAPTURES]) + (f" and {left} more" if left > 0 else "")


def _write_commands(row: AttemptRow) -> Iterator[str]:
    faulted = row.kind in _KERNEL_FAULTS
    once = "names the kernel that faulted: same seed, cell and environment, with a core dump"
    yield f"harness rerun {row.id}                {once if faulted else _ONCE}"
    if faulted:
        yield f"harness rerun {row.id} --memcheck     which access of which kernel; slow"
    yield f"harness rerun {row.id} --repeats 20   how often it fails with this seed"
    yield f"harness rerun {row.id} --pdb          in a debugger, at the failure"


def _shorten(lines: Sequence[str]) -> list[str]:
    left = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], *([f"... {left} more lines"] if left > 0 else [])]


def format_size(size: float) -> str:
    """Return `3.4 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
