"""`harness bot nightly`: one issue, open from a night that breaks the gate to one that holds it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.bot.artifact import RejectedError, check_origin
from harness.bot.context import Context
from harness.bot.fetching import fetch_result
from harness.bot.github import BOT, Github
from harness.bot.shapes import Issue
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.core.neutral import neutral
from harness.report.headline import headline
from harness.report.markdown import markdown

LABEL = "flake-nightly"
TITLE = "The nightly flake gate is broken"
MARKER = "<!-- harness: flake-nightly -->"

#: Of an issue's body, in characters; GitHub takes 65,536.
_LIMIT = 60_000


@dataclass(frozen=True, slots=True)
class Open:
    """Open the issue."""

    body: str
    title: str = TITLE


@dataclass(frozen=True, slots=True)
class Update:
    """Put another body into the open issue. `comment`: None where nothing is new in kind."""

    body: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class Close:
    """Say why, and close the open issue."""

    body: str
    comment: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """Leave the issues as they are."""


Step = Open | Update | Close | Nothing


def decide(run: Mapping[str, Any], is_open: bool, run_url: str) -> Step:
    """What a night means for the issue. Pure.

    run: a valid `harness.run/1` with a gate. Only proof moves the issue: a gate that is broken
    opens it, one that holds in a run that passed closes it, and an undecided night does neither.
    Raises UsageError where no gate was stated.
    """
    if run["gate"] is None:
        raise UsageError("the nightly run states no gate: give it --max-flake-rate")
    state = run["gate"]["state"]
    line = f"{headline(run)} ([workflow run]({run_url}))."
    body = _body(run, run_url)
    if state == "broken":
        return Update(body, f"Still broken. {line}") if is_open else Open(body)
    if not is_open:
        return Nothing()
    if state == "holds" and run["verdict"]["outcome"] == "passed":
        return Close(body, f"Proven, so closed. {line}")
    return Update(body, None)


def _body(run: Mapping[str, Any], run_url: str) -> str:
    about = (
        f"The newest night, [workflow run]({run_url}). This issue is rewritten every night, and "
        "closed by the first that proves the gate; an undecided night does not close it."
    )
    return f"{MARKER}\n{about}\n\n{markdown(run, _LIMIT)}"


def nightly(context: Context, sha: str) -> int:
    """Carry this workflow run's result over to the issue. Returns the exit code.

    sha: the commit that was to be measured. Raises UsageError where there is no result to believe;
    the issue then stays as it is. Raises GithubError.
    """
    with context.github() as github:
        run = _result(context, github, sha)
        issue = _find(github)
        step = decide(run, issue is not None, context.run_url)
        told = _carry_out(github, issue, step)
    context.summarise(told)
    sys.stderr.write(told + "\n")
    return ExitCode.OK


def _result(context: Context, github: Github, sha: str) -> dict[str, Any]:
    try:
        run = fetch_result(github, context.run)
        if run is None:
            raise RejectedError("the measuring job left no result")
        check_origin(run, context.repository, context.run)
        if run["run"]["sha"] != sha:
            raise RejectedError("the result is of another commit")
    except RejectedError as error:
        raise UsageError(f"the issue is left as it is: {neutral(str(error))}") from None
    return run


def _find(github: Github) -> Issue | None:
    """The oldest open issue that the bot wrote for this; others' issues may hold the marker."""
    mine = [
        issue
        for issue in github.open_issues(LABEL)
        if issue.user and issue.user.login == BOT and (issue.body or "").startswith(MARKER)
    ]
    return min(mine, key=lambda issue: issue.number, default=None)


def _carry_out(github: Github, issue: Issue | None, step: Step) -> str:
    """Do it, the comment first: a job that fails in between says it twice rather than never."""
    if isinstance(step, Open):
        return f"Issue #{github.open_issue(step.title, step.body, LABEL)} is opened."
    if isinstance(step, Nothing) or issue is None:
        return "No issue is open, and the gate is not broken: nothing to do."
    if step.comment:
        github.add_comment(issue.number, step.comment)
    if isinstance(step, Close):
        github.edit_issue(issue.number, body=step.body, state="closed")
        return f"Issue #{issue.number} is closed."
    github.edit_issue(issue.number, body=step.body)
    return f"Issue #{issue.number} is brought up to date."
