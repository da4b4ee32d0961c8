"""The loop of a run against a pool without Ray: what is recorded, launched again, owed or kept."""

import pytest

from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.core.cell import Cell
from harness.core.exits import ExitCode
from harness.core.statuses import AttemptStatus, RunStatus
from harness.driver.execution import execute
from harness.driver.ownership import identify_driver
from harness.driver.queue import list_planned

from .fake_pool import FakePool, make_record, passing
from .workplace import Open, interrupt_at_look, lose, read_run_json_file


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
    run.store.reopen_run("r", identify_driver(run.context.folder))
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


def test_small_gangs_run_beside_one_that_would_stand_alone_and_none_is_overtaken_for_long(
    begin: Open,
) -> None:
    cells = tuple(Cell((("order", "ascending"), ("tp", tp))) for tp in (1, 2))
    run = begin(repeats=8, cells=cells)
    pool, in_use = FakePool(passing, devices=2), []
    pool.before_wait = lambda: in_use.append(sum(member.leased for member in pool.members))
    assert run.run(pool) == ExitCode.OK
    started = [int(spec.attempt_id.removeprefix("r.")) for spec in pool.specs]
    assert sorted(started) == list(range(16))
    overtaken = [sum(other > one for other in started[:index]) for index, one in enumerate(started)]
    assert max(overtaken) == 1
    # Of each pair the first that ends leaves the other alone for one look, and no more do.
    assert in_use.count(1) == 4


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


def test_all_that_is_known_of_a_loss_is_stored_and_reported(
    begin: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begin(2, relaunch=0)
    run.run(FakePool(lose("r.0")))
    (lost,) = [row for row in run.rows if row.is_owed]
    assert lost.message == "node lost\ntraceback"
    assert lost.signature == "node lost"
    assert "    traceback" in capsys.readouterr().out
