"""`harness bot publish`: from what the measuring job left to the comment.

It believes GitHub about how the job ended, and of the job's own words only what it has checked.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.bot.command.grammar import parse_command
from harness.bot.command.requests import Measure, format_command
from harness.bot.github.client import GithubRepository
from harness.bot.github.environment import JobEnvironment
from harness.bot.github.event import CommentEvent, read_event
from harness.bot.github.transport import GithubError
from harness.bot.jobs.comments import find_answer, write_answer
from harness.bot.jobs.result import RejectedError, check_commits, check_origin, fetch_result
from harness.bot.wording import replies
from harness.bot.wording.replies import CommandDetails, Ending
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.core.neutral import neutral
from harness.report.markdown import write_markdown
from harness.report.run_json import read_run_json

#: What `timeout` exits with if it ended the run.
_TIMED_OUT = "124"
_RESULTS = ("success", "failure", "cancelled", "skipped", "")
#: Left free in a comment, for what is counted in another way there.
_MARGIN = 1_000


@dataclass(frozen=True, slots=True)
class MeasureJobOutputs:
    """What earlier jobs say, through the workflow's `needs`."""

    sha: str
    base: str
    job_result: str
    """How the measuring job ended, in GitHub's words."""
    exit_code: str
    """What `harness run` exited with, in the measuring job's words."""


def read_outputs(environment: Mapping[str, str]) -> MeasureJobOutputs:
    """Read them. Raise UsageError for a job result that GitHub does not have."""
    job = environment.get("MEASURE_RESULT", "")
    if job not in _RESULTS:
        raise UsageError("MEASURE_RESULT is none of GitHub's results")
    get = environment.get
    return MeasureJobOutputs(get("SHA", ""), get("BASE", ""), job, get("EXIT", ""))


def publish_result(environment: JobEnvironment, outputs: MeasureJobOutputs) -> int:
    """Write the result into the command's comment. Return the exit code.

    Raise GithubError if the comment cannot be written, UsageError if the result is not to be
    believed; the comment says so first.
    """
    event = read_event(environment.event)
    with environment.open_repository() as github:
        if not outputs.sha:
            return _publish_failed_parse(environment, github, event)
        return _publish(environment, github, event, outputs)


def _publish(
    environment: JobEnvironment,
    github: GithubRepository,
    event: CommentEvent,
    outputs: MeasureJobOutputs,
) -> int:
    details = _read_details(environment, event, outputs)
    run, rejection = _fetch(environment, github, outputs)
    notes = replies.write_head_note(_read_head(github, event.issue.number), outputs.sha)
    ending = _decide_ending(run, rejection, outputs)
    body = _write_body(details, ending, run, notes)
    environment.append_summary(body)
    comment = event.comment
    write_answer(github, event.issue.number, comment.id, comment.created_at, body)
    if rejection:
        raise UsageError(f"the result was not published: {rejection}")
    return ExitCode.OK


def _publish_failed_parse(
    environment: JobEnvironment, github: GithubRepository, event: CommentEvent
) -> int:
    """The parsing job ended badly: a comment that says "queued" must not stay."""
    comment = event.comment
    found = find_answer(github, event.issue.number, comment.id, comment.created_at)
    if found:
        login = comment.user.login if comment.user else ""
        details = CommandDetails(comment.id, login, environment.run_url)
        body = replies.write_answer(details, "failed", [replies.PARSE_FAILED])
        github.edit_comment(found.id, body)
    sys.stderr.write("nothing was measured: the parsing job failed\n")
    return ExitCode.OK


def _read_details(
    environment: JobEnvironment, event: CommentEvent, outputs: MeasureJobOutputs
) -> CommandDetails:
    asked = parse_command(event.comment.body or "")
    command = format_command(replace(asked, sha=outputs.sha)) if isinstance(asked, Measure) else ""
    return CommandDetails(
        comment=event.comment.id,
        login=event.comment.user.login if event.comment.user else "",
        run_url=environment.run_url,
        command=command,
        sha=outputs.sha,
        base=outputs.base,
    )


def _fetch(
    environment: JobEnvironment, github: GithubRepository, outputs: MeasureJobOutputs
) -> tuple[dict[str, Any] | None, str | None]:
    """Return the checked result, or None and why it was rejected; both None if none was left."""
    try:
        run = fetch_result(github, environment.workflow_run)
        if run is not None:
            check_origin(run, environment.repository, environment.workflow_run)
            check_commits(run, outputs.sha, outputs.base)
    except RejectedError as error:
        return None, neutral(str(error))
    return run, None


def _read_head(github: GithubRepository, pull_request: int) -> str | None:
    try:
        return github.read_pull_request(pull_request).head.sha
    except GithubError:
        return None


def _write_body(
    details: CommandDetails, ending: Ending, run: dict[str, Any] | None, notes: list[str]
) -> str:
    def write(report: str) -> str:
        if ending.is_whole:
            return replies.write_done(details, report, notes)
        return replies.write_unmeasured(details, ending, report, notes)

    if run is None:
        return write("")
    return write(_write_report(run, details, replies.LIMIT - len(write("x")) - _MARGIN))


def _write_report(run: dict[str, Any], details: CommandDetails, limit: int) -> str:
    def write_deciding_command(repeats: int) -> str:
        asked = parse_command(details.command)
        if not isinstance(asked, Measure):
            return ""
        return format_command(replace(asked, repeats=repeats, until_decided=False))

    return write_markdown(read_run_json(run), limit, write_deciding_command)


def _decide_ending(
    run: dict[str, Any] | None, rejection: str | None, outputs: MeasureJobOutputs
) -> Ending:
    """Return how it ended. A result that is whole is done, whatever else went wrong after."""
    if rejection:
        return Ending("failed", f"The measuring job's result was not believed: {rejection}.")
    if run is not None and run["run"]["status"] in ("complete", "decided"):
        return Ending("done")
    if outputs.exit_code == _TIMED_OUT:
        return Ending("timed out", "The measurement was ended at its time limit.")
    if outputs.job_result == "cancelled":
        return Ending("cancelled", "The measurement was cancelled.")
    if outputs.exit_code == str(int(ExitCode.USAGE)):
        reason = "`harness run` refused what was asked; the measuring job's log says why."
        return Ending("failed", reason)
    ended = outputs.job_result or "unknown"
    reason = f"The measuring job ended ({ended}) without a whole result; its log says why."
    return Ending("failed for infrastructure", reason)
