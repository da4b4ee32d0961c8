"""The driver's part of an attempt's evidence: what it was made with, and reading it all."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from harness.core.cell import Cell
from harness.core.evidence import (
    FOLDER,
    INDEX,
    EvidenceIndex,
    EvidenceItem,
    NotDone,
    read_index,
)
from harness.core.records import RunRecord

ENVIRONMENT = "environment.json"


def add_environment(attempt: Path, record: RunRecord, cell: Cell, seed: int) -> None:
    """Write the run's fingerprint, the cell and the seed into the attempt's evidence.

    Nothing happens if the attempt has none. A full disk costs the evidence, never the run.
    """
    index = read_folder(attempt)
    if not index.items:
        return
    what = "packages, driver, devices, commit, hash of uncommitted changes"
    value = {"run": record.id, "seed": seed, "cell": dict(cell.axes), **record.fingerprint}
    text = json.dumps(value, indent=1)
    with suppress(OSError):
        (attempt / FOLDER / ENVIRONMENT).write_text(text, encoding="utf-8")
        item = EvidenceItem(ENVIRONMENT, what, len(text.encode()))
        whole = replace(index, items=(*index.items, item))
        (attempt / FOLDER / INDEX).write_text(whole.write(), encoding="utf-8")


def read_folder(attempt: Path) -> EvidenceIndex:
    """Return what an attempt's folder holds as evidence: none if it passed, or was pruned."""
    try:
        text = (attempt / FOLDER / INDEX).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return EvidenceIndex()
    except OSError as error:
        why = f"{attempt / FOLDER} cannot be read: {error.strerror}"
        return EvidenceIndex((), (NotDone("the evidence", why),))
    return read_index(text)
