"""The sticky comment: what each state says, and which one may be rewritten."""

from datetime import UTC, datetime, timedelta

import pytest

from harness.bot.policy.access import Terms
from harness.bot.policy.rules import RefusedError, Rule
from harness.bot.wording import replies

ABOUT = replies.CommandDetails(
    5, "eve", "https://x/run", "/rerun-test a.py --sha " + "a" * 40, "b" * 40
)
SINCE = datetime(2026, 11, 23, 10, 41, tzinfo=UTC)
RUNNING = replies.write_running_line(SINCE, "https://x/job", SINCE + timedelta(hours=1))


def test_queued_says_where_to_look_and_that_nothing_is_known() -> None:
    body = replies.write_queued(ABOUT, Terms(20, 2, 60, ("gpu-2",)))
    assert body.startswith(f"{replies.format_marker(5)}-->\n### /rerun-test: queued\n")
    assert "At most 60 minutes on 2 GPUs" in body
    assert "Nothing is known about the tests yet." in body
    assert all(part in body for part in ("https://x/run", "a" * 40, "b" * 40, "asked by eve"))


def test_a_runner_without_a_gpu_is_said_to_record_graphs() -> None:
    body = replies.write_queued(ABOUT, Terms(20, 0, 60, ("ubuntu-24.04",)))
    assert "a CPU runner (recorded graphs)" in body


def test_a_queued_comment_becomes_running_and_keeps_the_rest() -> None:
    queued = replies.write_queued(ABOUT, Terms(20, 2, 60, ("gpu-2",)))
    waiting = replies.replace_state(queued, replies.write_waiting_line(2, SINCE))
    assert waiting is not None
    assert "queued, 2 before it" in waiting
    assert replies.is_pending(waiting)
    running = replies.replace_state(queued, RUNNING)
    assert running is not None
    assert "### /rerun-test: running since 10:41 UTC, ends by 11:41 UTC" in running
    assert "no result yet" in running
    assert running.split("\n")[0] == queued.split("\n")[0]
    assert running.split("\n")[2:] == queued.split("\n")[2:]
    assert replies.replace_state(running, RUNNING) == running


@pytest.mark.parametrize(
    "body",
    [
        replies.write_done(ABOUT, "report", []),
        replies.write_refusal(ABOUT, RefusedError(Rule.BUDGET, "none left")),
        replies.write_unmeasured(ABOUT, replies.Ending("cancelled", "It was cancelled."), "", []),
        "",
        "### /rerun-test: queued",
    ],
)
def test_an_answer_that_is_final_is_never_called_running(body: str) -> None:
    assert replies.replace_state(body, RUNNING) is None


def test_what_was_not_measured_is_said_to_say_nothing() -> None:
    body = replies.write_unmeasured(
        ABOUT, replies.Ending("failed for infrastructure", "The runner died."), "", []
    )
    assert "says nothing about the tests" in body
    partial = replies.write_unmeasured(
        ABOUT, replies.Ending("timed out", "At its limit."), "3/20 failed", []
    )
    assert "3/20 failed" in partial
    assert "says nothing" not in partial


def test_a_refusal_names_its_rule() -> None:
    body = replies.write_refusal(ABOUT, RefusedError(Rule.BUDGET, "120 GPU-minutes asked, 3 left"))
    assert "refused by rule `budget`" in body
    assert "120 GPU-minutes asked, 3 left." in body
    assert "Nothing was run." in body


def test_no_state_has_a_sign_of_success() -> None:
    bodies = [
        replies.write_queued(ABOUT, Terms(20, 2, 60, ("gpu-2",))),
        replies.write_done(ABOUT, "", []),
        replies.write_answer(ABOUT, "status", ["Nothing waits or runs for this pull request."]),
    ]
    assert not any(sign in body for body in bodies for sign in "✅✔🟢🚀")
