"""The evidence of an attempt as it lies on disk: an index, or nothing."""

from pathlib import Path

from harness.core.evidence import FOLDER, INDEX, EvidenceIndex, NotDone, read_index


def read_folder(attempt: Path) -> EvidenceIndex:
    """Return what an attempt's folder holds as evidence: none if it passed, or was pruned."""
    try:
        text = (attempt / FOLDER / INDEX).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return EvidenceIndex()
    except OSError as error:
        why = f"{attempt / FOLDER} cannot be read: {error.strerror}"
        return EvidenceIndex((), (NotDone("the evidence", why),))
    return read_index(text)


def list_evidence(attempt: Path) -> str:
    """Return the names of an attempt's evidence, and what could not be had; empty if none."""
    index = read_folder(attempt)
    names = ", ".join(item.name for item in index.items)
    missing = "; ".join(f"not done: {one.what}" for one in index.not_done)
    return "; ".join(part for part in (names, missing) if part)
