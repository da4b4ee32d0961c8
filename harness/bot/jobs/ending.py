"""How a measurement ended, and who is told."""

import sys
from collections.abc import Callable

from harness.analysis.report_model import Report
from harness.bot.github.client import CompletedCheck
from harness.bot.github.transport import GithubError
from harness.bot.jobs.comments import find_ender, write_notice
from harness.bot.jobs.measure_outputs import MeasureJobOutputs
from harness.bot.jobs.session import CommandSession
from harness.bot.wording import replies
from harness.bot.wording.replies import Ending
from harness.core.exits import ExitCode
from harness.core.neutral import neutral
from harness.core.statuses import RunStatus, VerdictOutcome
from harness.report.headline import write_headline

#: What `timeout` exits with if it ended the run.
_TIMED_OUT = "124"
_WHOLE = (RunStatus.COMPLETE, RunStatus.DECIDED)

#: A verdict's conclusion on the commit. Nothing but "no failure" and "failed" is a claim.
_CONCLUSIONS = {VerdictOutcome.PASSED: "success", VerdictOutcome.FAILED: "failure"}
_ENDINGS = {"cancelled": "cancelled", "timed out": "timed_out"}


def decide_ending(
    session: CommandSession,
    report: Report | None,
    rejection: str | None,
    outputs: MeasureJobOutputs,
) -> Ending:
    """Return how it ended. A result that is whole is done, whatever else went wrong after."""
    if rejection:
        return Ending("failed", f"The measuring job's result was not believed: {rejection}.")
    if report is not None and report.run.status in _WHOLE:
        return Ending("done")
    if outputs.exit_code == _TIMED_OUT:
        return Ending("timed out", "The measurement was ended at its time limit.")
    if outputs.job_result == "cancelled":
        return Ending("cancelled", _describe_cancellation(session))
    if outputs.exit_code == str(int(ExitCode.USAGE)):
        reason = "`harness run` refused what was asked; the measuring job's log says why."
        return Ending("failed", reason)
    if report is not None and report.run.status is RunStatus.INCOMPLETE:
        cause = neutral(report.run.ended_by or "no cause is recorded")
        return Ending("failed for infrastructure", replies.INCOMPLETE.format(cause))
    ended = outputs.job_result or "unknown"
    reason = f"The measuring job ended ({ended}) without a whole result; its log says why."
    return Ending("failed for infrastructure", reason)


def _describe_cancellation(session: CommandSession) -> str:
    since = session.event.comment.created_at
    run = session.environment.workflow_run
    ender = find_ender(session.github, session.pull_request, run, since)
    url = session.environment.make_comment_url(session.pull_request, ender.comment if ender else 0)
    return replies.write_cancelled(ender, url)


def tell_ending(
    session: CommandSession, sha: str, ending: Ending, report: Report | None, answer: int
) -> None:
    """Tell the asker by a mention and a reaction, and the commit by a check run.

    The result is written by then: what fails here is said in the log and changes nothing.
    """
    comment = session.event.comment
    url = session.environment.make_comment_url(session.pull_request, answer)
    headline = write_headline(report) if report else ""
    notice = replies.write_notice(session.details, ending.state, headline, url)
    check = CompletedCheck(
        name=replies.write_check_name(comment.id),
        conclusion=_conclude(ending, report),
        title=headline or ending.state,
        summary=ending.reason or headline,
        url=url,
    )
    _attempt(
        lambda: write_notice(
            session.github, session.pull_request, comment.id, comment.created_at, notice
        )
    )
    reaction = "rocket" if ending.is_whole else "confused"
    _attempt(lambda: session.github.add_reaction(comment.id, reaction))
    _attempt(lambda: session.github.complete_check_run(sha, check))


def _attempt(send: Callable[[], object]) -> None:
    try:
        send()
    except GithubError as error:
        sys.stderr.write(f"{error}\n")


def _conclude(ending: Ending, report: Report | None) -> str:
    """Return a check run's conclusion: neutral for all that claims nothing."""
    if report is not None and ending.is_whole:
        return _CONCLUSIONS.get(report.verdict.outcome, "neutral")
    return _ENDINGS.get(ending.state, "neutral")
