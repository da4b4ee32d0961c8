"""Where an attempt of a planned cell runs: folder, interpreter, and what its ranks are told."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.core.cell import Cell
from harness.core.revision import AXIS, Revision
from harness.driver.revisions.worktrees import tree


@dataclass(frozen=True, slots=True)
class Place:
    """The folder that suites are read from and run in, and the interpreter that runs them."""

    cwd: Path
    python: str
    env: dict[str, str] = field(default_factory=dict)


def place_of(revisions: Sequence[Revision], cell: Cell) -> Place:
    """The cell's place: its revision's worktree, or the working directory without revisions."""
    label = cell.get(AXIS)
    for revision in revisions:
        if revision.label == label:
            return place_at(revision)
    return Place(Path.cwd(), sys.executable)


def place_at(revision: Revision) -> Place:
    """A revision's place. `docs/wire.md` says what ranks do with the two variables."""
    root, here = tree(revision), Path.cwd()
    depth = len(Path(revision.folder).parts)
    checkout = here.parents[depth - 1] if depth else here
    env = {"HARNESS_TREE": str(root), "HARNESS_CHECKOUT": str(checkout)}
    return Place(root / revision.folder, revision.python, env)
