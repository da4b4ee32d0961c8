"""All that is read before a command is judged: who asks, where, and what was asked before."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.bot.github.history import parse_run_name
from harness.bot.github.shapes import PullRequest
from harness.bot.github.transport import GithubError
from harness.bot.jobs.session import CommandSession
from harness.bot.policy import access
from harness.bot.policy.access import Asker
from harness.bot.policy.policy_file import Grant, Policy, read_policy
from harness.bot.policy.rules import RefusedError, Rule
from harness.bot.policy.usage import WINDOW, PastCommand
from harness.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What is known of a command's asker and pull request."""

    policy: Policy
    pull_request: PullRequest
    asker: Asker
    grants: list[Grant]
    earlier: list[PastCommand]
    """Of this user or on this pull request, in the window."""

    @property
    def active(self) -> list[PastCommand]:
        """Commands for this pull request whose workflow run has not ended."""
        here = self.pull_request.number
        return [one for one in self.earlier if one.is_active and one.pull_request == here]


def read_request_context(session: CommandSession, policy_file: Path) -> RequestContext | None:
    """Read it; return None if this comment was handled already.

    Raise RefusedError if the asker may have nothing, GithubError if GitHub fails.
    """
    policy = _read_policy(policy_file)
    _check_unedited(session)
    pull_request = session.github.read_pull_request(session.pull_request)
    permission = session.github.read_permission(session.login)
    role = access.choose_role(permission.role_name, permission.permission)
    author = pull_request.user is not None and pull_request.user.login == session.login
    asker = Asker(session.login, role, author)
    grants = access.find_grants(policy, asker, pull_request.is_fork)
    earlier = _list_earlier(session)
    if any(one.comment == session.event.comment.id for one in earlier):
        return None
    _check_commands(session, policy, earlier)
    return RequestContext(policy, pull_request, asker, grants, earlier)


def _read_policy(path: Path) -> Policy:
    try:
        return read_policy(path)
    except UsageError as error:
        raise RefusedError(Rule.POLICY, str(error)) from None


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
    runs = session.github.list_workflow_runs(here.workflow, "issue_comment", since)
    found = [one for run in runs if run.id < here.workflow_run and (one := parse_run_name(run))]
    return [
        one
        for one in found
        if one.login == session.login or one.pull_request == session.pull_request
    ]


def _check_commands(session: CommandSession, policy: Policy, earlier: list[PastCommand]) -> None:
    """Count the asker's own alone: what others write on a pull request locks nobody out."""
    mine = sum(one.login == session.login for one in earlier)
    access.check_commands(policy.limits.commands_per_day, mine + 1, session.login)
