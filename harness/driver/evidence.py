"""The driver's part of an attempt's evidence: what it was made with, and reading it all."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from harness.core.cell import Cell
from harness.core.evidence import FOLDER, INDEX, EvidenceIndex, EvidenceItem
from harness.core.records import RunRecord
from harness.report.evidence_folder import read_folder

ENVIRONMENT = "environment.json"
KERNEL = "kernel.txt"
_MOST_BYTES = 1 << 20


def add_environment(attempt: Path, record: RunRecord, cell: Cell, seed: int) -> None:
    """Write the run's fingerprint, the cell and the seed into the attempt's evidence.

    Nothing happens if the attempt has none. A full disk costs the evidence, never the run.
    """
    index = read_folder(attempt)
    if not index.items:
        return
    what = "packages, driver, devices, commit, hash of uncommitted changes"
    value = {"run": record.id, "seed": seed, "cell": dict(cell.axes), **record.fingerprint}
    _add_item(attempt, index, EvidenceItem(ENVIRONMENT, what, 0), json.dumps(value, indent=1))


def copy_item(source: Path, target: Path, name: str) -> None:
    """Copy one item of an attempt's evidence to another's, if the first has it."""
    found = next((one for one in read_folder(source).items if one.name == name), None)
    if found is not None and target.is_dir():
        _add_item(target, read_folder(target), found, read_item(source, name))


def read_item(attempt: Path, name: str) -> str:
    """Return the text of an item, at most 1 MiB of it; empty if there is none."""
    try:
        with (attempt / FOLDER / name).open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _add_item(attempt: Path, index: EvidenceIndex, item: EvidenceItem, text: str) -> None:
    others = [one for one in index.items if one.name != item.name]
    whole = replace(index, items=(*others, replace(item, size=len(text.encode()))))
    with suppress(OSError):
        (attempt / FOLDER).mkdir(exist_ok=True)
        (attempt / FOLDER / item.name).write_text(text, encoding="utf-8")
        (attempt / FOLDER / INDEX).write_text(whole.write(), encoding="utf-8")
