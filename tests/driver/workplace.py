"""A run that is about to begin, with a pool without Ray, and scripts of what happens to it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.report_model import Report
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.core.cell import Cell
from harness.core.records import AttemptRow, RunRecord
from harness.driver.context import RunContext
from harness.driver.execution import Session, execute
from harness.driver.interruption import Interrupted
from harness.driver.queue import QueuedAttempt, list_outstanding, list_planned
from harness.report.run_json import read_run_json
from harness.store.store import Store

from .fake_pool import FakePool, Script, passing

CELL = Cell((("order", "ascending"), ("tp", 1)))


@dataclass
class Workplace:
    """A run that is about to begin, in a folder of its own."""

    context: RunContext
    session: Session
    path: Path
    json_file: Path

    @property
    def store(self) -> Store:
        """The open store."""
        return self.session.store

    @property
    def rows(self) -> list[AttemptRow]:
        """What is stored, in lease order."""
        return self.store.attempts("r")

    @property
    def record(self) -> RunRecord:
        """The run as stored."""
        return self.store.run("r")

    def run(self, pool: FakePool) -> int:
        """Work off the plan."""
        return execute(self.context, pool, self.session, list_planned(self.context.plan))

    @property
    def warmups(self) -> list[AttemptRow]:
        """What is stored of warm-up attempts."""
        return self.store.attempts("r", warmup=True)

    def queue_again(self) -> list[QueuedAttempt]:
        """Return what a resumed run would make."""
        wanted = self.context.options.replace_infra
        return list_outstanding(self.context.plan, self.rows, wanted, self.warmups)

    def outstanding(self) -> list[tuple[int, int, int]]:
        """Return position, replacement and launch of what a resumed run would make."""
        return [(one.planned.position, one.replaces, one.launch) for one in self.queue_again()]


Open = Callable[..., Workplace]


def interrupt_at_look(number: int, cause: str) -> Callable[[], None]:
    """Return what the pool does before each look: raise once, at this one."""
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == number:
            raise Interrupted(cause)

    return look


def lose(*names: str) -> Script:
    """Script of attempts that are lost before their suite starts, if their id ends so."""

    def script(spec: AttemptSpec) -> AttemptRecord | str:
        return "node lost" if spec.attempt_id.endswith(names) else passing(spec)

    return script


def read_run_json_file(run: Workplace) -> Report:
    return read_run_json(json.loads(run.json_file.read_text()))
