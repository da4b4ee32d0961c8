"""What the suites declare, per revision: the same suite may be another one there, or none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from harness.core.cell import Axis, Cell
from harness.core.errors import UsageError
from harness.core.revision import AXIS, Revision
from harness.core.suite import (
    EngineDeclaration,
    SuiteDeclarations,
    SuiteRef,
    read_declarations,
    uses_engine,
)
from harness.driver.revisions.place import locate_place


@dataclass(slots=True)
class Source:
    """One tree that suites are read from. `label`: its revision's; None for the working folder."""

    label: str | None
    folder: Path
    declared: dict[str, SuiteDeclarations] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Why a suite, by its key, cannot be measured here."""
    engines: set[str] = field(default_factory=set)
    """The suites, by key, that build this project's engine here."""

    def holds(self, cell: Cell) -> bool:
        """Whether the cell is of this source."""
        return cell.get(AXIS) == self.label

    def attempt(self, ref: SuiteRef, check: Callable[[], None]) -> None:
        """Run a check of one suite. Of a revision, what it raises makes the suite refused there."""
        if ref.key in self.refused:
            return
        try:
            check()
        except UsageError as error:
            if self.label is None:
                raise
            self.refused[ref.key] = f"not applicable at rev {self.label}: {error}"

    def read(self, ref: SuiteRef) -> None:
        """Read its declarations. Raises UsageError where the suite is not there as named."""
        if not ref.path:  # a command, or several targets
            self.declared[ref.key] = SuiteDeclarations(EngineDeclaration(), {}, True)
            return
        self.declared[ref.key] = read_declarations(ref, self.folder)
        if uses_engine(ref.nodeid, self.folder):
            self.engines.add(ref.key)


def read_sources(refs: Sequence[SuiteRef], revisions: Sequence[Revision]) -> list[Source]:
    """Read every suite in every revision, or in the working folder where there is none."""
    made = [Source(one.label, locate_place(one).cwd) for one in revisions] or [Source(None, Path())]
    for source in made:
        for ref in refs:
            source.attempt(ref, partial(source.read, ref))
    return made


def check_measurable(refs: Sequence[SuiteRef], sources: Sequence[Source]) -> None:
    """Raises UsageError where a suite can be measured in no revision at all."""
    for ref in refs:
        if all(ref.key in source.refused for source in sources):
            raise UsageError("; ".join(source.refused[ref.key] for source in sources))


def revision_axis(revisions: Sequence[Revision]) -> list[Axis]:
    """The axis that revisions make: none without them."""
    return [Axis(AXIS, tuple(one.label for one in revisions))] if revisions else []
