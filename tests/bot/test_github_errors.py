"""GitHub refuses, fails, or answers nonsense: nothing is started, and it is said."""

import re

import pytest

from tests.bot.results import leave
from tests.bot.workplace import HEAD, PULL, Workplace

#: What the parsing job asks for on its way to a measurement with all that can be asked for.
READS = {
    "comment": r"/issues/comments/\d+$",
    "pull request": r"/pulls/7$",
    "permission": r"/permission$",
    "runs": r"/workflows/rerun-test.yml/runs$",
    "jobs": r"/runs/\d+/jobs$",
    "pushes": r"/activity$",
    "tree": r"/git/trees/",
    "merge base": r"/compare/",
    "comments": r"/issues/7/comments$",
}
BEFORE_ACCESS_IS_KNOWN = ("permission", "pull request")
ANSWERS = [403, 404, 409, 422, 429, 500, "drop", "garbage", "shape"]
COMMAND = "/rerun-test test_a.py --against base"


def something_before(place: Workplace) -> None:
    """An earlier command, so that its jobs are asked for."""
    from tests.bot.attacks_around import CPU_JOB, earlier

    earlier(place, "success", job=CPU_JOB)


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("read", READS)
def test_nothing_is_started_after_a_failed_read(
    place: Workplace, read: str, what: int | str
) -> None:
    something_before(place)
    place.says(COMMAND)
    place.github.fail("GET", READS[read], what)
    outputs = place.parse()
    assert outputs.get("action", "none") == "none"
    # A comment that is gone and a head that cannot be dated are refusals, not failures.
    refused = (read == "comment" and what == 404) or (read == "pushes" and what in (403, 404, 422))
    assert ("error" in outputs) is not refused
    if not refused:
        assert re.fullmatch(r"GitHub, asked to [^<>]+: [^<>]+", outputs["error"])
    if read in BEFORE_ACCESS_IS_KNOWN:
        assert place.answer() == ""
        assert place.github.reactions[-1] == (place.comment, "confused")
    elif read not in ("comment", "comments"):
        assert "Nothing was run." in place.answer()


@pytest.mark.parametrize("read", ["permission", "pull request", "runs"])
@pytest.mark.parametrize("what", ANSWERS)
def test_a_stranger_is_never_answered_because_github_failed(
    place: Workplace, read: str, what: int | str
) -> None:
    place.says(COMMAND, "stranger")
    place.github.fail("GET", READS[read], what)
    place.parse()
    assert place.answer() == ""


@pytest.mark.parametrize("what", ANSWERS)
def test_nothing_is_started_without_the_comment_that_says_so(
    place: Workplace, what: int | str
) -> None:
    place.says(COMMAND)
    place.github.fail("POST", r"/issues/7/comments$", what)
    outputs = place.parse()
    assert "error" in outputs
    assert "action" not in outputs


@pytest.mark.parametrize("what", [403, 422, 429, 500, "drop"])
def test_a_reaction_that_fails_ends_the_job_before_anything_is_done(
    place: Workplace, what: int | str
) -> None:
    place.says(COMMAND)
    place.github.fail("POST", r"/reactions$", what)
    outputs = place.parse()
    assert "react" in outputs["error"]
    assert [call.method for call in place.github.calls if call.method != "POST"] == []


@pytest.mark.parametrize("what", [500, 429, "drop"])
@pytest.mark.parametrize("read", READS)
def test_what_passes_is_waited_out(place: Workplace, read: str, what: int | str) -> None:
    something_before(place)
    place.says(COMMAND)
    place.github.fail("GET", READS[read], what, times=2, headers={"retry-after": "0"})
    assert place.parse()["action"] == "measure"


@pytest.mark.parametrize("wait", ["3600", "soon", "9" * 30])
def test_a_rate_limit_that_lasts_is_not_sat_out(place: Workplace, wait: str) -> None:
    place.says(COMMAND)
    place.github.fail("GET", READS["pull request"], 429, headers={"retry-after": wait})
    assert "error" in place.parse()
    assert sum(call.path.endswith("/pulls/7") for call in place.github.calls) == 1


def test_a_run_that_moves_on_while_runs_are_listed_is_met(place: Workplace) -> None:
    from tests.bot.attacks_around import CPU_JOB, earlier

    earlier(place, "queued", on=99, job=CPU_JOB)
    moving = place.github.runs[0]
    moving["status"] = "pending"
    place.says(COMMAND)
    real = place.github.answer
    asked: list[str] = []

    def while_it_moves(call):  # type: ignore[no-untyped-def]
        if call.path.endswith("/runs"):
            asked.append(call.query["status"])
            if len(asked) == 3:
                moving["status"] = "in_progress"
        return real(call)

    place.github.answer = while_it_moves  # type: ignore[method-assign]
    assert place.parse() == {"action": "none"}
    assert "refused by rule `active`" in place.answer()


def test_a_comment_that_was_written_without_an_answer_is_not_written_twice(
    place: Workplace,
) -> None:
    place.says(COMMAND)
    real = place.github.answer

    def written_but_broken(call):  # type: ignore[no-untyped-def]
        status, answer = real(call)
        if call.method == "POST" and call.path.endswith(f"/issues/{PULL}/comments"):
            return 502, {}
        return status, answer

    place.github.answer = written_but_broken  # type: ignore[method-assign]
    assert place.parse()["action"] == "measure"
    assert len(place.github.by_bot(PULL)) == 1


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("read", [r"/artifacts$", r"/zip$", r"/issues/7/comments$"])
def test_the_publisher_fails_in_one_line_and_leaves_the_comment(
    place: Workplace, read: str, what: int | str
) -> None:
    place.says("/rerun-test test_a.py")
    place.parse()
    leave(place)
    place.github.fail("GET", read, what)
    error = place.publish()
    rejected = read == r"/zip$" and what in ("garbage", "shape")
    assert error is not None
    assert "\n" not in error
    assert ("not believed" in place.answer()) is rejected
    assert rejected or "### /rerun-test: queued" in place.answer()


@pytest.mark.parametrize("what", ANSWERS)
def test_a_head_that_cannot_be_read_again_does_not_hide_the_result(
    place: Workplace, what: int | str
) -> None:
    place.says("/rerun-test test_a.py --repeats 50")
    place.parse()
    leave(place)
    place.github.fail("GET", r"/pulls/7$", what)
    assert place.publish() is None
    assert "### /rerun-test: done" in place.answer()
    assert "Whether the head has moved since could not be read." in place.answer()
    assert HEAD in place.answer()
