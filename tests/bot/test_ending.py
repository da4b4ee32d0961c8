"""Who is told that a measurement ended: the asker, the command's comment, the commit."""

from datetime import timedelta

import pytest

from tests.bot.github_samples import workflow_run
from tests.bot.results import leave, result
from tests.bot.test_parse import active
from tests.bot.workplace import HEAD, PULL, RUN, Workplace

CANCELLED = {"MEASURE_RESULT": "cancelled", "EXIT": ""}


@pytest.fixture
def queued(place: Workplace) -> Workplace:
    """A command that was granted."""
    place.says("/rerun-test test_a.py --repeats 50")
    assert place.parse()["action"] == "measure"
    return place


def test_the_asker_is_mentioned_in_a_new_comment_once(queued: Workplace) -> None:
    leave(queued)
    for _ in range(2):
        queued.publish()
    (notice,) = queued.notices()
    assert "@maintainer" in notice
    assert "12 of 100 attempts failed" in notice
    assert "/pull/7#issuecomment-" in notice


@pytest.mark.parametrize(("failed", "conclusion"), [(12, "failure"), (0, "success")])
def test_the_measured_commit_gets_a_check_run(
    queued: Workplace, failed: int, conclusion: str
) -> None:
    leave(queued, result(failed))
    queued.publish()
    (check,) = queued.github.check_runs
    assert check["head_sha"] == HEAD
    assert check["status"] == "completed"
    assert check["conclusion"] == conclusion
    assert queued.github.reactions[-1] == (queued.comment, "rocket")


@pytest.mark.parametrize(
    ("left", "conclusion"),
    [
        (CANCELLED, "cancelled"),
        ({"MEASURE_RESULT": "failure", "EXIT": "124"}, "timed_out"),
        ({"MEASURE_RESULT": "failure", "EXIT": ""}, "neutral"),
    ],
)
def test_an_end_without_a_result_claims_nothing_on_the_commit(
    queued: Workplace, left: dict[str, str], conclusion: str
) -> None:
    queued.publish(**left)
    assert [check["conclusion"] for check in queued.github.check_runs] == [conclusion]
    assert queued.github.reactions[-1] == (queued.comment, "confused")
    assert len(queued.notices()) == 1


@pytest.mark.parametrize("path", [r"/check-runs$", r"/reactions$"])
def test_what_only_tells_of_the_end_cannot_hide_it(queued: Workplace, path: str) -> None:
    leave(queued)
    queued.github.fail("POST", path, 403)
    assert queued.publish() is None
    assert "### /rerun-test: done" in queued.answer()
    assert len(queued.notices()) == 1


def end_by(place: Workplace, body: str, login: str) -> None:
    """Someone's command ends the measurement of workflow run 800."""
    place.says(body, login)
    place.parse()
    assert place.github.cancelled == [800]


@pytest.mark.parametrize("body", ["/rerun-test cancel", "/rerun-test test_a.py"])
def test_who_cancelled_is_said(place: Workplace, body: str) -> None:
    active(place, 800, "maintainer")
    end_by(place, body, "maintainer")
    ender = place.comment
    (place.folder / "output").unlink()
    place.says("/rerun-test test_a.py --repeats 50")
    place.environment["GITHUB_RUN_ID"] = "800"
    granted = "\n".join(["--repeats", "50", "--rev", HEAD, "--seed", "7", "--", "x.py"])
    place.publish(**CANCELLED, ARGUMENTS=granted)
    url = f"https://github.example/acme/engine/pull/{PULL}#issuecomment-{ender}"
    assert f"cancelled by maintainer's [command]({url})" in place.github.by_bot(PULL)[-2]


def test_why_an_incomplete_run_is_so_is_said(queued: Workplace) -> None:
    run = result(3, run_status="incomplete", missing=4)
    run["run"]["ended_by"] = "device <gone> @all"
    leave(queued, run)
    queued.publish(MEASURE_RESULT="failure", EXIT="5")
    assert "### /rerun-test: failed for infrastructure" in queued.answer()
    assert "device &lt;gone&gt;" in queued.answer()
    assert "@all" not in queued.answer()


def test_another_command_did_not_cancel_it(queued: Workplace) -> None:
    run = workflow_run(RUN, f"rerun-test #{PULL} by x (comment 1)", "cancelled", ago=timedelta(0))
    queued.github.runs.append(run)
    queued.publish(**CANCELLED)
    assert "on the workflow run's page" in queued.answer()


def test_a_signature_leads_to_its_log_and_to_its_rerun(queued: Workplace) -> None:
    run = result()
    run["signatures"][0]["example"] = "71208106.5"
    leave(queued, run)
    logs = {"id": 55, "name": "harness-report", "size_in_bytes": 9, "expired": False}
    queued.github.artifacts[RUN].append(logs)
    queued.publish()
    assert f"/actions/runs/{RUN}/artifacts/55" in queued.answer()
    assert "`runs/71208106/71208106.5/`" in queued.answer()
    assert "`harness rerun 71208106.5 --store store.sqlite`" in queued.answer()


def test_an_example_that_is_no_attempt_is_not_repeated(queued: Workplace) -> None:
    run = result()
    run["signatures"][0]["example"] = "`;curl evil.example`"
    leave(queued, run)
    logs = {"id": 55, "name": "harness-report", "size_in_bytes": 9, "expired": False}
    queued.github.artifacts[RUN].append(logs)
    queued.publish()
    assert "evil.example" not in queued.answer()


def test_a_final_answer_survives_a_parsing_job_that_ended_badly(place: Workplace) -> None:
    place.says("/rerun-test help")
    place.parse()
    place.publish(SHA="", MEASURE_RESULT="skipped", EXIT="")
    assert "### /rerun-test: help" in place.answer()
