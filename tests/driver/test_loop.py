"""The loop of a run against a pool without Ray: what is recorded, launched again, owed or kept."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.analysis.report_model import Report
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.core.cell import Cell
from harness.core.errors import StoreError
from harness.core.exits import ExitCode
from harness.core.plan import Plan, PlannedCell, plan_to_dict
from harness.core.records import AttemptRow, RunRecord
from harness.core.statuses import AttemptStatus, RunStatus
from harness.driver.context import RunContext
from harness.driver.execution import Session, execute
from harness.driver.interruption import Interrupted, Interruption
from harness.driver.ledger import JOURNAL, import_journal
from harness.driver.options import RunOptions
from harness.driver.outputs import Outputs
from harness.driver.ownership import identify_driver
from harness.driver.queue import list_outstanding, list_planned
from harness.report.run_json import read_run_json
from harness.store.open import open_store
from harness.store.store import Store

from .fake_pool import FakePool, Script, make_record, passing

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

    def outstanding(self) -> list[tuple[int, int, int]]:
        """Return position, replacement and launch of what a resumed run would make."""
        wanted = self.context.options.replace_infra
        found = list_outstanding(self.context.plan, self.rows, wanted)
        return [(one.planned.position, one.replaces, one.launch) for one in found]


Open = Callable[..., Workplace]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.py").write_text("def test_a(): pass\n")
    opened: list[Store] = []

    def call(repeats: int = 4, **options: object) -> Workplace:
        plan = Plan((PlannedCell("s.py", CELL),), repeats, 7, False, False)
        record = RunRecord("r", 1.0, 7, "cpu", plan_to_dict(plan), {}, {"sha": None})
        path, json_file = tmp_path / "store.sqlite", tmp_path / "run.json"
        store = open_store(str(path), write=True)
        opened.append(store)
        store.add_run(record)
        chosen = RunOptions(suites=("s.py",), repeats=repeats, **options)  # type: ignore[arg-type]
        context = RunContext(record, plan, chosen, "spawn")
        context.folder.mkdir(parents=True)
        session = Session(store, Outputs({"json": json_file}), Interruption())
        return Workplace(context, session, path, json_file)

    yield call
    for store in opened:
        store.close()


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


def test_a_run_whose_attempts_all_end_is_complete(begin: Open) -> None:
    run = begin()
    assert run.run(FakePool(passing)) == ExitCode.OK
    assert [row.status for row in run.rows] == [AttemptStatus.PASSED] * 4
    assert (run.record.status, run.record.ended_by) == (RunStatus.COMPLETE, None)
    assert run.outstanding() == []


def test_an_attempt_lost_before_its_suite_started_is_launched_again_and_each_try_is_stored(
    begin: Open,
) -> None:
    run = begin()
    assert run.run(FakePool(lose("r.1", "r.1t1"))) == ExitCode.OK
    tries = [(row.id, row.launch, row.suite_started) for row in run.rows if row.position == 1]
    assert tries == [("r.1", 0, False), ("r.1t1", 1, False), ("r.1t2", 2, True)]
    assert run.record.status is RunStatus.COMPLETE
    (cell,) = read_run_json_file(run).cells
    assert (cell.passed, cell.infra) == (4, 0)


def read_run_json_file(run: Workplace) -> Report:
    return read_run_json(json.loads(run.json_file.read_text()))


def test_an_attempt_that_is_lost_at_every_launch_is_owed_and_the_run_incomplete(
    begin: Open,
) -> None:
    run = begin(relaunch=2)
    code = run.run(FakePool(lose("r.1", "r.1t1", "r.1t2")))
    assert code == ExitCode.NO_VALID_ATTEMPT
    assert run.record.status is RunStatus.INCOMPLETE
    assert "node lost" in str(run.record.ended_by)
    assert run.outstanding() == [(1, 0, 3)]


def test_without_relaunches_a_lost_attempt_is_owed_at_once(begin: Open) -> None:
    run = begin(relaunch=0)
    run.run(FakePool(lose("r.2")))
    assert run.outstanding() == [(2, 0, 1)]


def test_infrastructure_after_the_start_is_replaced_only_if_asked(begin: Open) -> None:
    def script(spec: AttemptSpec) -> AttemptRecord | str:
        record = passing(spec)
        if spec.attempt_id == "r.1":
            record.error = "keeper lost"
        return record

    run = begin()
    run.run(FakePool(script))
    assert run.record.status is RunStatus.COMPLETE
    assert [row.status for row in run.rows].count(AttemptStatus.INFRA) == 1
    assert run.outstanding() == []


def test_a_pending_replacement_is_outstanding(begin: Open) -> None:
    def script(spec: AttemptSpec) -> AttemptRecord | str:
        record = passing(spec)
        record.error = "keeper lost" if spec.attempt_id == "r.1" else None
        return record

    run = begin(replace_infra=1)
    queue = [one for one in list_planned(run.context.plan) if one.planned.position < 2]
    pool = FakePool(script, devices=1)
    pool.before_wait = interrupt_at_look(3, "SIGTERM")
    execute(run.context, pool, run.session, queue)
    run.store.reopen_run("r", identify_driver())
    assert run.outstanding() == [(2, 0, 0), (3, 0, 0), (1, 1, 0)]


def test_devices_that_are_not_clean_lose_no_attempt_while_others_are(begin: Open) -> None:
    run = begin()
    pool = FakePool(passing)
    pool.unclean = {"cpu:0": "1 ECC error"}
    assert run.run(pool) == ExitCode.OK
    assert run.record.status is RunStatus.COMPLETE
    assert {row.position for row in run.rows if row.status is AttemptStatus.PASSED} == {0, 1, 2, 3}


def test_when_no_device_is_left_the_rest_is_owed(begin: Open) -> None:
    run = begin()
    pool = FakePool(passing)
    pool.unclean = {"cpu:0": "1 ECC error", "cpu:1": "1 ECC error"}
    assert run.run(pool) == ExitCode.NO_VALID_ATTEMPT
    assert run.record.status is RunStatus.INCOMPLETE
    assert [position for position, *_ in run.outstanding()] == [0, 1, 2, 3]


def test_a_node_without_the_suite_does_not_end_the_run_for_the_others(begin: Open) -> None:
    run = begin(6)

    def script(spec: AttemptSpec) -> AttemptRecord | str:
        on_bad_node = spec.attempt_id == "r.0"
        return make_record(exitstatus=5) if on_bad_node else passing(spec)

    run.run(FakePool(script, nodes=2))
    assert len(run.rows) == 6


def test_a_suite_that_no_node_finds_a_test_in_is_not_tried_again(begin: Open) -> None:
    run = begin(50)
    code = run.run(FakePool(lambda _: make_record(exitstatus=5)))
    assert code == ExitCode.NO_TESTS
    assert len(run.rows) < 4
    assert run.outstanding() == []


@pytest.mark.parametrize("cause", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_an_end_signal_keeps_what_finished_and_marks_what_was_in_flight(
    begin: Open, cause: str
) -> None:
    run = begin(9)
    pool = FakePool(passing)
    pool.before_wait = interrupt_at_look(3, cause)
    assert run.run(pool) == ExitCode.INTERRUPTED
    assert (run.record.status, run.record.ended_by) == (RunStatus.INTERRUPTED, cause)
    statuses = [row.status for row in run.rows]
    assert statuses.count(AttemptStatus.PASSED) == 2
    assert statuses.count(AttemptStatus.CENSORED) == len(pool.cancelled) == 2
    assert read_run_json_file(run).verdict.outcome == "interrupted"
    assert run.session.interruption.reported.is_set()


def test_a_terminal_that_went_away_is_an_interruption(begin: Open) -> None:
    run = begin()
    pool = FakePool(passing)

    printed: list[int] = []

    def print_into_a_closed_pipe() -> None:
        if not printed:
            printed.append(1)
            raise BrokenPipeError

    pool.before_wait = print_into_a_closed_pipe
    assert run.run(pool) == ExitCode.INTERRUPTED
    assert run.record.ended_by == "closed output pipe"


def test_a_test_that_says_a_lone_surrogate_is_one_failure_like_any_other(begin: Open) -> None:
    run = begin()
    record = make_record(("t::a[\udcff]", "failed"), exitstatus=1, message="bad \udcff\0")
    assert run.run(FakePool(lambda _: record)) == ExitCode.FAILURES
    assert [row.status for row in run.rows] == [AttemptStatus.FAILED] * 4
    assert read_run_json_file(run).cells[0].failed == 4


def test_a_store_deleted_during_a_run_ends_with_table_json_and_exit_6(
    begin: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begin()

    def script(spec: AttemptSpec) -> AttemptRecord | str:
        if spec.attempt_id == "r.2":
            run.path.unlink()
        return passing(spec)

    assert run.run(FakePool(script)) == ExitCode.STORE
    assert read_run_json_file(run).cells[0].passed == 4
    assert (run.context.folder / JOURNAL).read_text().count("\n") == 2
    assert "0/4" in capsys.readouterr().out


def test_what_a_failing_store_did_not_take_is_stored_once_it_works_again(
    begin: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin()
    monkeypatch.setattr("harness.driver.ledger.RETRY_S", 0.0)
    add_rows, failures = Store.add_rows, [1, 1]

    def fail_twice(store: Store, rows: object) -> None:
        if failures:
            failures.pop()
            raise StoreError("database is locked")
        add_rows(store, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "add_rows", fail_twice)
    assert run.run(FakePool(passing)) == ExitCode.OK
    assert len(run.rows) == 4
    assert not (run.context.folder / JOURNAL).exists()


def test_a_journal_that_was_left_is_brought_in_by_the_next_driver(
    begin: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin()
    add_rows = Store.add_rows

    def fail_on_disk(store: Store, rows: object) -> None:
        if store is run.store:
            raise StoreError("disk I/O error")
        add_rows(store, rows)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(Store, "add_rows", fail_on_disk)
        assert run.run(FakePool(passing)) == ExitCode.STORE
    with (run.context.folder / JOURNAL).open("a") as journal:
        journal.write('{"attempt": {"id": "r.9"')  # a driver was killed while it wrote
    assert import_journal(run.store, "r", run.context.folder) == 4
    assert len(run.rows) == 4
    assert import_journal(run.store, "r", run.context.folder) == 0
