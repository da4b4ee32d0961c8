"""`harness bot publish`: from what the measuring job left to the comment.

It believes GitHub about how the job ended, and of the job's own words only what it has checked.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.bot import comments
from harness.bot.artifact import RejectedError, check_bound
from harness.bot.context import Context
from harness.bot.event import CommentEvent, read_event
from harness.bot.fetching import fetch_result
from harness.bot.github import Github, GithubError
from harness.bot.grammar import Measure, command_text, parse_command
from harness.bot.sticky import find, post
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.core.neutral import neutral
from harness.report.markdown import markdown

#: What `timeout` exits with where it ended the run.
_TIMED_OUT = "124"
_RESULTS = ("success", "failure", "cancelled", "skipped", "")
#: Left free in a comment, for what is counted in another way there.
_MARGIN = 1_000


@dataclass(frozen=True, slots=True)
class Left:
    """What earlier jobs say, through the workflow's `needs`."""

    sha: str
    base: str
    job: str
    """How the measuring job ended, in GitHub's words."""
    exit: str
    """What `harness run` exited with, in the measuring job's words."""


def left_of(environment: Mapping[str, str]) -> Left:
    """Read it. Raises UsageError for a job result that GitHub has not."""
    job = environment.get("MEASURE_RESULT", "")
    if job not in _RESULTS:
        raise UsageError("MEASURE_RESULT is none of GitHub's results")
    get = environment.get
    return Left(get("SHA", ""), get("BASE", ""), job, get("EXIT", ""))


def publish(context: Context, left: Left) -> int:
    """Write the result into the command's comment. Returns the exit code.

    Raises GithubError where the comment cannot be written, UsageError where the result is not to be
    believed; the comment says so first.
    """
    event = read_event(context.event)
    with context.github() as github:
        if not left.sha:
            return _parse_failed(context, github, event)
        return _publish(context, github, event, left)


def _publish(context: Context, github: Github, event: CommentEvent, left: Left) -> int:
    about = _about(context, event, left)
    rejected = None
    run = None
    try:
        run = _result(context, github, left)
    except RejectedError as error:
        rejected = neutral(str(error))
    notes = _notes(github, event.issue.number, left.sha)
    body = _body(about, run, rejected, left, notes)
    context.summarise(body)
    comment = event.comment
    post(github, event.issue.number, comment.id, comment.created_at, body)
    if rejected:
        raise UsageError(f"the result was not published: {rejected}")
    return ExitCode.OK


def _parse_failed(context: Context, github: Github, event: CommentEvent) -> int:
    """The parsing job ended badly: a comment that says "queued" must not stay."""
    comment = event.comment
    found = find(github, event.issue.number, comment.id, comment.created_at)
    if found:
        login = comment.user.login if comment.user else ""
        about = comments.About(comment.id, login, context.run_url)
        lines = ["The command was not carried out; the workflow run's log says why."]
        github.edit_comment(found.id, comments.answered(about, "failed", lines))
    sys.stderr.write("nothing was measured: the parsing job failed\n")
    return ExitCode.OK


def _about(context: Context, event: CommentEvent, left: Left) -> comments.About:
    asked = parse_command(event.comment.body or "")
    return comments.About(
        comment=event.comment.id,
        login=event.comment.user.login if event.comment.user else "",
        run_url=context.run_url,
        command=command_text(replace(asked, sha=left.sha)) if isinstance(asked, Measure) else "",
        sha=left.sha,
        base=left.base,
    )


def _result(context: Context, github: Github, left: Left) -> dict[str, Any] | None:
    """The checked result; None where none was left. Raises RejectedError."""
    run = fetch_result(github, context.run)
    if run is None:
        return None
    check_bound(run, context.repository, context.run, left.sha, left.base)
    return run


def _notes(github: Github, pull: int, sha: str) -> list[str]:
    """Whether what was measured is still the head."""
    try:
        head = github.pull(pull).head.sha
    except GithubError:
        return ["Whether the head has moved since could not be read."]
    if head == sha:
        return []
    return [
        f"**The head is now {head}: this is of {sha} and says nothing about the newer commits.**"
    ]


def _body(
    about: comments.About,
    run: dict[str, Any] | None,
    rejected: str | None,
    left: Left,
    notes: list[str],
) -> str:
    state, reason = _ending(run, rejected, left)

    def body(report: str) -> str:
        if state == "done":
            return comments.done(about, report, notes)
        return comments.unmeasured(about, state, reason, report, notes)

    if run is None:
        return body("")
    return body(_report(run, about, comments.LIMIT - len(body("x")) - _MARGIN))


def _report(run: dict[str, Any], about: comments.About, limit: int) -> str:
    def decide(more: int) -> str:
        asked = parse_command(about.command)
        if not isinstance(asked, Measure):
            return ""
        return command_text(replace(asked, repeats=more, until_decided=False))

    return markdown(run, limit, decide)


def _ending(run: dict[str, Any] | None, rejected: str | None, left: Left) -> tuple[str, str]:
    """The state's name and why. A result that is whole is done, whatever else went wrong after."""
    if rejected:
        return "failed", f"The measuring job's result was not believed: {rejected}."
    if run is not None and run["run"]["status"] in ("complete", "decided"):
        return "done", ""
    if left.exit == _TIMED_OUT:
        return "timed out", "The measurement was ended at its time limit."
    if left.job == "cancelled":
        return "cancelled", "The measurement was cancelled."
    if left.exit == str(int(ExitCode.USAGE)):
        return "failed", "`harness run` refused what was asked; the measuring job's log says why."
    ended = left.job or "unknown"
    return (
        "failed for infrastructure",
        f"The measuring job ended ({ended}) without a whole result; its log says why.",
    )
