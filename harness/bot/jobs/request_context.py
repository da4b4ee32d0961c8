"""All that is read before a command is judged: who asks, where, and what was asked before."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.bot.github.history import parse_run_name, read_measurement
from harness.bot.github.shapes import PullRequest
from harness.bot.github.transport import GithubError
from harness.bot.jobs.session import CommandSession
from harness.bot.policy import access
from harness.bot.policy.access import Asker
from harness.bot.policy.policy_file import Grant, Policy, read_policy
from harness.bot.policy.rules import RefusedError, Rule
from harness.bot.policy.usage import WINDOW, PastCommand, PastMeasurement
from harness.core.errors import UsageError

EVENT = "issue_comment"


@dataclass(frozen=True, slots=True)
class AskerContext:
    """Someone who may have something measured on this pull request."""

    policy: Policy
    pull_request: PullRequest
    asker: Asker
    grants: list[Grant]


@dataclass(frozen=True, slots=True)
class RequestContext(AskerContext):
    """What is known of a command's asker and pull request."""

    earlier: list[PastCommand]
    """Of this user or on this pull request, in the window, by people who have a grant here."""

    def list_active(self, session: CommandSession) -> list[PastMeasurement]:
        """Return what waits or runs for this pull request, or may still be granted."""
        here = [one for one in self.earlier if one.pull_request == session.pull_request]
        measured = read_measurements(session, [one for one in here if one.is_active], reserve=0)
        return [one for one in measured if one.is_active]


def read_measurements(
    session: CommandSession, commands: list[PastCommand], reserve: float
) -> list[PastMeasurement]:
    """Return what each command used. reserve: GPU-minutes of one that may still be granted."""
    return [
        read_measurement(one, session.github.list_jobs(one.workflow_run), reserve)
        for one in commands
    ]


def identify_asker(session: CommandSession, policy_file: Path) -> AskerContext:
    """Return who asks and what they are granted.

    Raise RefusedError by `access` or `policy`, and GithubError: nothing may be written for the
    asker to see then, as it is not known whether they have any access.
    """
    role = _read_role(session, session.login)
    policy = _read_policy(policy_file, role)
    pull_request = session.github.read_pull_request(session.pull_request)
    asker = _describe(session.login, role, pull_request)
    grants = access.find_grants(policy, asker, pull_request.is_fork)
    return AskerContext(policy, pull_request, asker, grants)


def read_request_context(session: CommandSession, asker: AskerContext) -> RequestContext | None:
    """Read what was asked before; return None if this comment was handled already.

    Raise RefusedError if the comment changed or too much was asked, GithubError if GitHub fails.
    """
    _check_unedited(session)
    earlier = _list_earlier(session)
    if any(one.comment == session.event.comment.id for one in earlier):
        return None
    mine = sum(one.login == session.login for one in earlier)
    access.check_commands(asker.policy.limits.commands_per_day, mine + 1, session.login)
    return RequestContext(
        asker.policy,
        asker.pull_request,
        asker.asker,
        asker.grants,
        _keep_granted(session, asker, earlier),
    )


def _read_role(session: CommandSession, login: str) -> str:
    permission = session.github.read_permission(login)
    return access.choose_role(permission.role_name, permission.permission)


def _describe(login: str, role: str, pull_request: PullRequest) -> Asker:
    author = pull_request.user.login if pull_request.user else None
    return Asker(login, role, is_author=author == login)


def _read_policy(path: Path, role: str) -> Policy:
    """Read the policy. Who may push is told what is wrong with it, anybody else that it is so."""
    try:
        return read_policy(path)
    except UsageError as error:
        if Asker("", role, is_author=False).has("write"):
            raise RefusedError(Rule.POLICY, str(error)) from None
        raise RefusedError(Rule.ACCESS, "the policy file cannot be read") from None


def _check_unedited(session: CommandSession) -> None:
    """Refuse a comment that changed since: what is carried out is what a reader sees."""
    try:
        now = session.github.read_comment(session.event.comment.id)
    except GithubError as error:
        if error.status == 404:
            raise RefusedError(Rule.EDITED, "the comment was deleted") from None
        raise
    if now.body != session.event.comment.body:
        raise RefusedError(Rule.EDITED, "the comment was edited: write a new one")


def _list_earlier(session: CommandSession) -> list[PastCommand]:
    """Return commands before this one, of this user or on this pull request."""
    here = session.environment
    since = datetime.now(UTC) - WINDOW
    runs = session.github.list_workflow_runs(here.workflow, EVENT, since)
    found = [one for run in runs if run.id < here.workflow_run and (one := parse_run_name(run))]
    return [
        one
        for one in found
        if one.login == session.login or one.pull_request == session.pull_request
    ]


def _keep_granted(
    session: CommandSession, asker: AskerContext, earlier: list[PastCommand]
) -> list[PastCommand]:
    """Leave out the commands of people without a grant: they cannot have had anything measured.

    One request per person, however many commands they wrote.
    """
    others = {one.login for one in earlier} - {session.login}
    granted = {session.login} | {login for login in others if _has_grant(session, asker, login)}
    return [one for one in earlier if one.login in granted]


def _has_grant(session: CommandSession, asker: AskerContext, login: str) -> bool:
    try:
        other = _describe(login, _read_role(session, login), asker.pull_request)
        access.find_grants(asker.policy, other, asker.pull_request.is_fork)
    except RefusedError:
        return False
    except GithubError as error:
        if error.status == 404:  # the account is gone
            return False
        raise
    return True


def was_answered_today(session: CommandSession) -> bool:
    """Whether this person wrote a command before, in the last 24 hours.

    True as well if GitHub lists too many runs of theirs, or fails: silence is the safe answer.
    """
    here = session.environment
    since = datetime.now(UTC) - WINDOW
    try:
        runs = session.github.list_newest_runs(here.workflow, EVENT, since, session.login)
    except GithubError:
        return True
    commands = [run for run in runs if run.conclusion != "skipped" and parse_run_name(run)]
    return len(runs) >= 100 or any(run.id < here.workflow_run for run in commands)
