"""Who asks, where, and what was asked before: all that is read before a command is judged."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.bot import access
from harness.bot.access import Asker
from harness.bot.desk import Desk
from harness.bot.github import GithubError
from harness.bot.policy import Grant, Policy, read_policy
from harness.bot.rules import RefusedError, Rule
from harness.bot.shapes import Pull
from harness.bot.state import WINDOW, Asked, asked_of
from harness.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Hearing:
    """What is known of a command's asker and pull request."""

    policy: Policy
    pull: Pull
    asker: Asker
    grants: list[Grant]
    earlier: list[Asked]
    """Of this user or on this pull request, in the window."""

    @property
    def active(self) -> list[Asked]:
        """Commands for this pull request whose workflow run has not ended."""
        return [one for one in self.earlier if one.is_active and one.pull == self.pull.number]


def hear(desk: Desk, policy_file: Path) -> Hearing | None:
    """Read it; None where this comment was handled already. Raises RefusedError, GithubError."""
    policy = _policy(policy_file)
    _check_unedited(desk)
    pull = desk.github.pull(desk.pull)
    role = access.role_of(desk.github.permission(desk.login))
    author = pull.user is not None and pull.user.login == desk.login
    asker = Asker(desk.login, role, author)
    grants = access.grants_for(policy, asker, pull.is_fork)
    earlier = _earlier(desk)
    if any(one.comment == desk.event.comment.id for one in earlier):
        return None
    _check_commands(desk, policy, earlier)
    return Hearing(policy, pull, asker, grants, earlier)


def _policy(path: Path) -> Policy:
    try:
        return read_policy(path)
    except UsageError as error:
        raise RefusedError(Rule.POLICY, str(error)) from None


def _check_unedited(desk: Desk) -> None:
    """What is carried out is what stands there; a comment that changed since is neither."""
    try:
        now = desk.github.comment(desk.event.comment.id)
    except GithubError as error:
        if error.status == 404:
            raise RefusedError(Rule.EDITED, "the comment was deleted") from None
        raise
    if now.body != desk.event.comment.body:
        raise RefusedError(Rule.EDITED, "the comment was edited: write a new one")


def _earlier(desk: Desk) -> list[Asked]:
    """Commands before this one, of this user or on this pull request."""
    runs = desk.github.runs(desk.context.workflow, "issue_comment", datetime.now(UTC) - WINDOW)
    asked = [one for run in runs if run.id < desk.context.run and (one := asked_of(run))]
    return [one for one in asked if one.login == desk.login or one.pull == desk.pull]


def _check_commands(desk: Desk, policy: Policy, earlier: list[Asked]) -> None:
    """The asker's own alone: what others write on a pull request locks nobody out."""
    mine = sum(one.login == desk.login for one in earlier)
    access.check_commands(policy.limits.commands_per_day, mine + 1, desk.login)
