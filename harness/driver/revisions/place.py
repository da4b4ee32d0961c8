"""Where an attempt of a planned cell runs: folder, interpreter, and what its ranks are told."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.core.cell import Cell
from harness.core.result import AttemptResult
from harness.core.revision import AXIS, CHANGED, Revision
from harness.driver.revisions.worktrees import list_changed_files, locate_worktree


@dataclass(frozen=True, slots=True)
class Place:
    """The folder that suites are read from and run in, and the interpreter that runs them."""

    cwd: Path
    python: str
    env: dict[str, str] = field(default_factory=dict)


def find_place(revisions: Sequence[Revision], cell: Cell) -> Place:
    """The cell's place: its revision's worktree, or the working directory without revisions."""
    revision = _find_revision(revisions, cell)
    return locate_place(revision) if revision else Place(Path.cwd(), sys.executable)


def note_changed_worktree(
    result: AttemptResult, revisions: Sequence[Revision], cell: Cell
) -> AttemptResult:
    """The result, with a note where the cell's worktree is no longer what its commit holds."""
    revision = _find_revision(revisions, cell)
    found = list_changed_files(revision) if revision else []
    if not found:
        return result
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return replace(result, notes=(*result.notes, f"{CHANGED}: {found[0]}{more}"))


def _find_revision(revisions: Sequence[Revision], cell: Cell) -> Revision | None:
    return next((one for one in revisions if one.label == cell.get(AXIS)), None)


def locate_place(revision: Revision) -> Place:
    """A revision's place. `docs/reference/wire.md` says what ranks do with the two variables."""
    root, here = locate_worktree(revision), Path.cwd()
    depth = len(Path(revision.folder).parts)
    checkout = here.parents[depth - 1] if depth else here
    env = {"HARNESS_WORKTREE": str(root), "HARNESS_CHECKOUT": str(checkout)}
    return Place(root / revision.folder, revision.python, env)
