"""What stays the same while one run goes on."""

from dataclasses import dataclass
from pathlib import Path

from harness.attempt.spec import Isolation
from harness.cluster.devices import DeviceKind
from harness.core.plan import Plan
from harness.core.records import RunRecord
from harness.driver.options import RunOptions
from harness.driver.state import STATE_FOLDER


def find_run_folder(run_id: str) -> Path:
    """Return the folder of a run's attempts: their logs, events and traces."""
    return (STATE_FOLDER / "runs").absolute() / run_id


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
    def folder(self) -> Path:
        """The folder of the run's attempts: their logs, events and traces."""
        return find_run_folder(self.record.id)
