"""What stays the same while one run goes on."""

from dataclasses import dataclass
from pathlib import Path

from harness.attempt.spec import Isolation
from harness.cluster.devices import DeviceKind
from harness.core.plan import Plan
from harness.core.records import RunRecord
from harness.driver.options import RunOptions
from harness.driver.state import find_state_folder

RUNS = "runs"


def make_run_folder_path(run_id: str, *, of_revisions: bool) -> Path:
    """Return where a new run keeps its files: logs, events and traces of its attempts."""
    return find_state_folder(of_revisions=of_revisions) / RUNS / run_id


def find_run_folder(record: RunRecord) -> Path:
    """Return the folder of a stored run: the one its driver named, if it is on this machine."""
    named = Path(record.driver.folder) if record.driver and record.driver.folder else None
    if named and named.parent.is_dir():
        return named
    return make_run_folder_path(record.id, of_revisions=bool(record.plan.get("revisions")))


@dataclass(frozen=True, slots=True)
class RunContext:
    """A run under way: as stored, with its plan and options, and where its files are."""

    record: RunRecord
    plan: Plan
    options: RunOptions
    isolation: Isolation

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.record.id

    @property
    def device(self) -> DeviceKind:
        """The kind of device that every attempt runs on."""
        return "cuda" if self.record.device == "cuda" else "cpu"

    @property
    def part(self) -> int:
        """0, or which part of a run that was resumed with changed files is being made."""
        return len(self.record.parts)

    @property
    def folder(self) -> Path:
        """The folder of the run's attempts: their logs, events and traces."""
        return find_run_folder(self.record)
