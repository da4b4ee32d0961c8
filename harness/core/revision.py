"""Revisions of the repository under test, as an axis of the plan. Pure values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: The axis whose values are the revisions' labels. The first is the reference, the base.
AXIS = "rev"

#: How an attempt's note begins after which its worktree was no longer the commit.
CHANGED = "tracked files of the worktree were changed"


@dataclass(frozen=True, slots=True)
class Revision:
    """One commit under test, resolved once, before the first attempt."""

    named: str
    """As the user wrote it; a branch may move on, `sha` does not."""
    sha: str
    """The full object name, hexadecimal."""
    label: str
    """Its value on the axis: the shortest prefix of `sha`, of eight digits at least, that was
    unambiguous in the repository when it was resolved."""
    python: str
    """The interpreter that runs its ranks."""
    folder: str = ""
    """Where in the repository the run was started, relative to its top."""
    notes: tuple[str, ...] = ()
    """What a reader of a comparison must know: how it differs beyond the code under test."""


def revision_from_dict(stored: Mapping[str, Any]) -> Revision:
    """Inverse of `revision_to_dict`."""
    return Revision(**{**stored, "notes": tuple(stored["notes"])})


def revision_to_dict(revision: Revision) -> dict[str, Any]:
    """The revision as stored: JSON values only."""
    return {**asdict(revision), "notes": list(revision.notes)}
