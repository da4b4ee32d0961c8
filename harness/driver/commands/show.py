"""`harness show ATTEMPT`: all that is known of one attempt, from the store and its folder."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.core.cell import parse_cell_key
from harness.core.evidence import FOLDER, EvidenceIndex
from harness.core.exits import ExitCode
from harness.core.records import AttemptRow
from harness.core.signature import make_cluster_id
from harness.core.stacks import leave_out_runner
from harness.driver.stores import open_known_stores
from harness.report.attempt_view import AttemptFiles, SimilarFailures, describe_attempt
from harness.report.evidence_folder import read_folder
from harness.report.terminal import print_line

#: Evidence that is shown at once, and how much of each file is read.
_SHOWN = (
    *("last-words.json", "collectives.txt", "kernel.txt", "memcheck.txt"),
    *("stacks.txt", "processes.txt", "gpu.json"),
)
_MOST_BYTES = 1 << 20


def show_attempt(name: str, location: str | None) -> int:
    """Print the attempt. Return the exit code."""
    with open_known_stores(location) as stores:
        row = stores.find_attempt(name)[1]
        counted = [one for store in stores.stores for one in store.count_signatures()]
        similar = _count_similar(row, counted)
    console = Console()
    files = _read_files(Path(row.folder))
    cell = parse_cell_key(row.cell).label
    for section in describe_attempt(row, cell, files, similar):
        if section.lines or section.heading.startswith("attempt"):
            print_line(console, section.heading, "bold")
            for line in section.lines:
                print_line(console, line, indent="  ")
    return ExitCode.OK


def _count_similar(row: AttemptRow, counted: Sequence[tuple[str, str, int]]) -> SimilarFailures:
    if not row.signature:
        return SimilarFailures(0, 0)
    wanted = make_cluster_id(row.signature)
    alike = [(run, n) for signature, run, n in counted if make_cluster_id(signature) == wanted]
    return SimilarFailures(sum(n for _, n in alike), len({run for run, _ in alike}))


def _read_files(folder: Path) -> AttemptFiles:
    evidence = read_folder(folder)
    logs = [(path.name, path.stat().st_size) for path in sorted(folder.glob("rank*.log"))]
    others = [folder / name for name in ("events.jsonl", "trace.json")]
    logs += [(path.name, path.stat().st_size) for path in others if path.is_file()]
    return AttemptFiles(str(folder), logs, evidence, list(_read_texts(folder, evidence)))


def _read_texts(folder: Path, evidence: EvidenceIndex) -> Iterator[tuple[str, str]]:
    what = {item.name: item.what for item in evidence.items}
    for name in _SHOWN:
        if name not in what:
            continue
        try:
            with (folder / FOLDER / name).open("rb") as file:
                text = file.read(_MOST_BYTES).decode("utf-8", "replace")
        except OSError as error:
            text = f"{folder / FOLDER / name} cannot be read: {error.strerror}"
        yield what[name], _write_plainly(name, text)


def _write_plainly(name: str, text: str) -> str:
    """Return a file's text as people read it."""
    try:
        value = json.loads(text) if name.endswith(".json") else None
    except ValueError:
        return text
    if name == "stacks.txt":
        return "\n".join(leave_out_runner(text.splitlines()))
    if name == "last-words.json":
        return "\n".join(_write_words(value))
    return text if value is None else "\n".join(_write_value(value, ""))


def _write_words(streams: Any) -> Iterator[str]:
    """Yield the strongest lines of each process; an attempt's own last line says the least."""
    for stream in streams if isinstance(streams, list) else []:
        causes = [one["line"] for one in stream.get("causes", []) if one["strength"] != "last_line"]
        size = f"{stream.get('bytes', 0)} bytes"
        text = f"{size}, some of them no text" if stream.get("binary") else size
        yield f"{stream.get('stream')} ({text}): {causes[0] if causes else 'no line names a cause'}"
        yield from (f"    {line}" for line in causes[1:4])


def _write_value(value: Any, indent: str) -> Iterator[str]:
    for key, one in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(one, dict | list) and one and not all(isinstance(e, str) for e in one):
            yield f"{indent}{key}:"
            yield from _write_value(one, indent + "  ")
        else:
            text = ", ".join(one) if isinstance(one, list) else one
            yield f"{indent}{key}: {'none' if text in ('', {}) else text}"
