"""`harness bot nightly`: one issue, open from a night that breaks the gate to one that holds it."""

import sys
from dataclasses import dataclass

from harness.analysis.report_model import Report
from harness.bot.github.client import BOT, GithubRepository
from harness.bot.github.environment import JobEnvironment
from harness.bot.github.shapes import Issue
from harness.bot.jobs.result import RejectedError, check_origin, fetch_result
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.core.neutral import neutral
from harness.core.statuses import VerdictOutcome
from harness.report.headline import write_headline
from harness.report.markdown import write_markdown

LABEL = "flake-nightly"
TITLE = "The nightly flake gate is broken"
MARKER = "<!-- harness: flake-nightly -->"

#: Of an issue's body, in characters; GitHub takes 65,536.
_LIMIT = 60_000


@dataclass(frozen=True, slots=True)
class OpenIssue:
    """Open the issue."""

    body: str
    title: str = TITLE


@dataclass(frozen=True, slots=True)
class UpdateIssue:
    """Replace the open issue's body. `comment`: None if nothing is new in kind."""

    body: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class CloseIssue:
    """Say why, and close the open issue."""

    body: str
    comment: str


@dataclass(frozen=True, slots=True)
class LeaveIssues:
    """Leave the issues as they are."""


Step = OpenIssue | UpdateIssue | CloseIssue | LeaveIssues


def decide_step(report: Report, is_open: bool, run_url: str) -> Step:
    """Return what a night means for the issue. Pure.

    report: of a run with a gate. Only proof moves the issue: a gate that is broken
    opens it, one that holds in a run that passed closes it, and an undecided night does neither.
    Raise UsageError if no gate was stated.
    """
    if report.gate is None:
        raise UsageError("the nightly run states no gate: give it --max-flake-rate")
    line = f"{write_headline(report)} ([workflow run]({run_url}))."
    body = _write_body(report, run_url)
    if report.gate.is_broken:
        return UpdateIssue(body, f"Still broken. {line}") if is_open else OpenIssue(body)
    if not is_open:
        return LeaveIssues()
    if report.gate.holds and report.verdict.outcome is VerdictOutcome.PASSED:
        return CloseIssue(body, f"Proven, so closed. {line}")
    return UpdateIssue(body, None)


def _write_body(report: Report, run_url: str) -> str:
    about = (
        f"The newest night, [workflow run]({run_url}). This issue is rewritten every night, and "
        "closed by the first that proves the gate; an undecided night does not close it."
    )
    return f"{MARKER}\n{about}\n\n{write_markdown(report, _LIMIT)}"


def update_nightly_issue(environment: JobEnvironment, sha: str) -> int:
    """Carry this workflow run's result over to the issue. Return the exit code.

    sha: the commit that was to be measured. Raise UsageError if there is no result to believe; the
    issue then stays as it is. Raise GithubError.
    """
    with environment.open_repository() as github:
        report = _fetch_night(environment, github, sha)
        issue = _find_issue(github)
        step = decide_step(report, issue is not None, environment.run_url)
        done = _carry_out(github, issue, step)
    environment.append_summary(done)
    sys.stderr.write(done + "\n")
    return ExitCode.OK


def _fetch_night(environment: JobEnvironment, github: GithubRepository, sha: str) -> Report:
    try:
        report = fetch_result(github, environment.workflow_run)
        if report is None:
            raise RejectedError("the measuring job left no result")
        check_origin(report, environment.repository, environment.workflow_run)
        if report.run.sha != sha:
            raise RejectedError("the result is of another commit")
    except RejectedError as error:
        raise UsageError(f"the issue is left as it is: {neutral(str(error))}") from None
    return report


def _find_issue(github: GithubRepository) -> Issue | None:
    """Return the oldest open issue that the bot wrote for this; others may hold the marker too."""
    mine = [
        issue
        for issue in github.list_open_issues(LABEL)
        if issue.user and issue.user.login == BOT and (issue.body or "").startswith(MARKER)
    ]
    return min(mine, key=lambda issue: issue.number, default=None)


def _carry_out(github: GithubRepository, issue: Issue | None, step: Step) -> str:
    """Carry the step out and return what was done.

    The comment comes first: a job that fails in between says it twice rather than never.
    """
    if isinstance(step, OpenIssue):
        return f"Issue #{github.open_issue(step.title, step.body, LABEL)} is opened."
    if isinstance(step, LeaveIssues) or issue is None:
        return "No issue is open, and the gate is not broken: nothing to do."
    if step.comment:
        github.add_comment(issue.number, step.comment)
    if isinstance(step, CloseIssue):
        github.edit_issue(issue.number, body=step.body, state="closed")
        return f"Issue #{issue.number} is closed."
    github.edit_issue(issue.number, body=step.body)
    return f"Issue #{issue.number} is brought up to date."
