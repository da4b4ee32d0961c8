"""`harness bot publish`: from what the measuring job left to the comment.

It believes GitHub about how the job ended, and of the job's own words only what it has checked.
"""

import sys
from dataclasses import replace

from harness.analysis.report_model import Report
from harness.bot.command.grammar import parse_command
from harness.bot.command.requests import Measure, format_command
from harness.bot.github.environment import JobEnvironment
from harness.bot.github.event import CommentEvent, read_event
from harness.bot.github.transport import GithubError
from harness.bot.jobs.comments import find_answer
from harness.bot.jobs.ending import decide_ending, tell_ending
from harness.bot.jobs.granted import check_granted, read_granted
from harness.bot.jobs.measure_outputs import MeasureJobOutputs
from harness.bot.jobs.result import RejectedError, check_origin, fetch_result
from harness.bot.jobs.session import CommandSession
from harness.bot.wording import replies
from harness.bot.wording.replies import CommandDetails, Ending
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.core.neutral import neutral
from harness.report.markdown import write_markdown

#: The artifact that holds logs, traces and the store.
LOGS = "harness-report"
#: Left free in a comment, for what is counted in another way there.
_MARGIN = 1_000
_SIGNATURES = 10


def publish_result(environment: JobEnvironment, outputs: MeasureJobOutputs) -> int:
    """Write the result into the command's comment. Return the exit code.

    Raise GithubError if the comment cannot be written, UsageError if the result is not to be
    believed; the comment says so first.
    """
    event = read_event(environment.event)
    with environment.open_repository() as github:
        session = CommandSession(environment, github, event)
        if not outputs.sha:
            return _publish_failed_parse(session)
        return _publish(session, outputs)


def _publish(session: CommandSession, outputs: MeasureJobOutputs) -> int:
    report, rejection = _fetch(session, outputs)
    ending = decide_ending(session, report, rejection, outputs)
    details = _read_details(session.environment, session.event, outputs, report)
    notes = replies.write_head_note(_read_head(session), outputs.sha)
    notes = [*_write_logs(session, report), *notes]
    answer = session.answer(_write_body(details, ending, report, notes))
    tell_ending(session, outputs.sha, ending, report, answer)
    if rejection:
        raise UsageError(f"the result was not published: {rejection}")
    return ExitCode.OK


def _publish_failed_parse(session: CommandSession) -> int:
    """Replace "queued" in the comment: the parsing job failed, or was cancelled."""
    comment = session.event.comment
    found = find_answer(session.github, session.pull_request, comment.id, comment.created_at)
    if found and replies.is_pending(found.body or ""):
        body = replies.write_answer(session.details, "failed", [replies.PARSE_FAILED])
        session.github.edit_comment(found.id, body)
    sys.stderr.write("nothing was measured: the parsing job did not end well\n")
    return ExitCode.OK


def _read_details(
    environment: JobEnvironment,
    event: CommentEvent,
    outputs: MeasureJobOutputs,
    report: Report | None,
) -> CommandDetails:
    """Return the command; the commit that it measured is in the report, if there is one."""
    asked = parse_command(event.comment.body or "")
    sha = None if report else outputs.sha
    command = format_command(replace(asked, sha=sha)) if isinstance(asked, Measure) else ""
    return CommandDetails(
        comment=event.comment.id,
        login=event.comment.user.login if event.comment.user else "",
        run_url=environment.run_url,
        command=command,
        base="" if report else outputs.base,
    )


def _fetch(session: CommandSession, outputs: MeasureJobOutputs) -> tuple[Report | None, str | None]:
    """Return the checked result, or None and why it was rejected; both None if none was left."""
    here = session.environment
    try:
        report = fetch_result(session.github, here.workflow_run)
        if report is not None:
            check_origin(report, here.repository, here.workflow_run)
            check_granted(report, read_granted(outputs.arguments))
    except RejectedError as error:
        return None, neutral(str(error))
    return report, None


def _read_head(session: CommandSession) -> str | None:
    try:
        return session.github.read_pull_request(session.pull_request).head.sha
    except GithubError:
        return None


def _write_logs(session: CommandSession, report: Report | None) -> list[str]:
    """Write the way from each signature to its log, if the logs were kept."""
    signatures = report.signatures[:_SIGNATURES] if report else ()
    found = [replies.split_attempt(one.example) for one in signatures]
    attempts = [one for one in found if one]
    try:
        artifacts = session.github.list_artifacts(session.environment.workflow_run, LOGS)
    except GithubError:
        return []
    if not artifacts:
        return []
    url = f"{session.environment.run_url}/artifacts/{artifacts[-1].id}"
    return replies.write_logs(url, attempts)


def _write_body(
    details: CommandDetails, ending: Ending, report: Report | None, notes: list[str]
) -> str:
    def write(text: str) -> str:
        if ending.is_whole:
            return replies.write_done(details, text, notes)
        return replies.write_unmeasured(details, ending, text, notes)

    if report is None:
        return write("")
    return write(_write_report(report, details, replies.LIMIT - len(write("x")) - _MARGIN))


def _write_report(report: Report, details: CommandDetails, limit: int) -> str:
    def write_deciding_command(repeats: int) -> str:
        asked = parse_command(details.command)
        if not isinstance(asked, Measure):
            return ""
        measured = report.run.revisions[-1].sha
        return format_command(replace(asked, sha=measured, repeats=repeats, until_decided=False))

    return write_markdown(report, limit, write_deciding_command)
