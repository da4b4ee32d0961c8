"""Attempts that warm up: made first, stored and shown, and in no count."""

import json

import pytest

from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.core.exits import ExitCode
from harness.core.plan import plan_from_dict, plan_to_dict, schedule, schedule_warmups
from harness.core.statuses import AttemptStatus, RunStatus
from harness.driver.commands.watch import read_live_run
from harness.driver.execution import execute
from harness.driver.live_state import LiveState
from harness.driver.ownership import identify_driver
from harness.driver.queue import list_planned
from harness.report.html.page import render_page
from harness.report.markdown import write_markdown
from harness.report.run_export import RunExport
from harness.report.run_schema import find_problems

from .fake_pool import FakePool, make_record, passing
from .workplace import Open, interrupt_at_look, lose, read_run_json_file

BROKEN = make_record(("t::a", "failed"), exitstatus=1, message="cold cache")


def fail_to_warm_up(spec: AttemptSpec) -> AttemptRecord | str:
    """Script: what warms up fails, and all else passes."""
    return BROKEN if ".w" in spec.attempt_id else passing(spec)


def test_warm_up_attempts_come_first_and_none_is_counted(begin: Open) -> None:
    run = begin(4, warmup=2)
    pool = FakePool(passing)
    assert run.run(pool) == ExitCode.OK
    assert [spec.attempt_id for spec in pool.specs][:2] == ["r.w0", "r.w1"]
    assert [row.id for row in run.warmups] == ["r.w0", "r.w1"]
    assert [row.position for row in run.rows] == [0, 1, 2, 3]
    report = read_run_json_file(run)
    assert [cell.attempts for cell in report.cells] == [4]
    assert [one.status for one in report.warmup] == [AttemptStatus.PASSED] * 2
    assert any("failures in warm-up: 0 of 2" in text for text in report.verdict.sentences)
    assert run.store.count_attempts() == {"r": {"passed": 4}}
    assert sum(count.n for count in run.store.test_counts("r")) == 4
    assert len(list(run.store.test_outcomes("r"))) == 4


def test_no_counted_attempt_begins_while_one_warms_up(begin: Open) -> None:
    run, begun = begin(4, warmup=1), []
    pool = FakePool(passing, devices=3)
    pool.before_wait = lambda: begun.append(len(pool.specs))
    run.run(pool)
    assert begun[0] == 1


def test_a_failure_in_warm_up_is_told_and_changes_no_exit_code(
    begin: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begin(4, warmup=1)
    assert run.run(FakePool(fail_to_warm_up)) == ExitCode.OK
    printed = capsys.readouterr()
    assert "r.w0 failed in warm-up" in printed.err
    report = read_run_json_file(run)
    (warmup,) = report.warmup
    assert (warmup.kind, warmup.has_failed, report.cells[0].failed) == ("assertion", True, 0)
    assert any("failures in warm-up: 1 of 1" in text for text in report.verdict.sentences)
    page = render_page(RunExport(report, run.rows, lambda: iter(())))
    for shown in (printed.out, page, write_markdown(report, 100_000)):
        assert "r.w0" in shown
        assert "cold cache" in shown


def test_a_report_with_warm_up_attempts_fits_its_schema(begin: Open) -> None:
    run = begin(4, warmup=1)
    run.run(FakePool(fail_to_warm_up))
    assert find_problems(json.loads(run.json_file.read_text())) == []


def test_a_resumed_run_makes_the_warm_up_attempts_that_are_missing(begin: Open) -> None:
    run = begin(4, warmup=2)
    pool = FakePool(passing, devices=1)
    pool.before_wait = interrupt_at_look(2, "SIGTERM")
    assert execute(run.context, pool, run.session, list_planned(run.context.plan)) == (
        ExitCode.INTERRUPTED
    )
    run.store.reopen_run("r", identify_driver(run.context.folder))
    assert [one.make_id("r") for one in run.queue_again()] == ["r.w1", "r.0", "r.1", "r.2", "r.3"]


def test_a_complete_run_is_not_warmed_up_again(begin: Open) -> None:
    run = begin(4, warmup=1)
    run.run(FakePool(lose("r.w0", "r.w0t1", "r.w0t2", "r.w0t3")))
    assert run.record.status is RunStatus.COMPLETE, "a lost warm-up attempt is not owed"
    assert run.queue_again() == []


def test_a_suite_without_tests_says_so_also_after_a_warm_up(begin: Open) -> None:
    run = begin(4, warmup=1)
    assert run.run(FakePool(lambda _: make_record(exitstatus=5))) == ExitCode.NO_TESTS


def test_warm_up_attempts_have_seeds_of_their_own_and_survive_storing(begin: Open) -> None:
    plan = begin(4, warmup=3).context.plan
    seeds = {one.seed for one in schedule_warmups(plan)}
    assert len(seeds) == 3
    assert seeds.isdisjoint(one.seed for one in schedule(plan))
    assert plan_from_dict(plan_to_dict(plan)) == plan


def test_a_live_view_tells_what_warms_up(begin: Open) -> None:
    run = begin(4, warmup=1)
    state = LiveState("r", run.context.plan)
    assert state.knows("r.w0")
    assert not state.knows("r.w1")
    state.act("r.w0", 1.0, "collected")
    (shown,) = state.show("running", 2.0, None).attempts
    assert shown.label.startswith("warm-up")
    assert read_live_run(run.store, "r", 2.0).cells[0].ended == 0
