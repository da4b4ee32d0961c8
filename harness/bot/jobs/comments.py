"""One comment per command: found again by its marker, written once, then edited."""

from datetime import datetime

from harness.bot.github.client import BOT, GithubRepository
from harness.bot.github.shapes import Comment
from harness.bot.github.transport import GithubError
from harness.bot.wording import replies
from harness.bot.wording.replies import Ender, format_marker, format_notice_marker


def find_answer(
    github: GithubRepository, pull_request: int, comment: int, since: datetime
) -> Comment | None:
    """Return the bot's own answer to a comment. `since`: when that comment was written."""
    return _find(github, pull_request, format_marker(comment), since)


def write_answer(
    github: GithubRepository, pull_request: int, comment: int, since: datetime, body: str
) -> int:
    """Write the answer to a comment, over an earlier one if there is one. Return its id."""
    return _write_once(github, pull_request, format_marker(comment), since, body)


def write_notice(
    github: GithubRepository, pull_request: int, comment: int, since: datetime, body: str
) -> int:
    """Write the notice that a command has ended, over an earlier one. Return its id."""
    return _write_once(github, pull_request, format_notice_marker(comment), since, body)


def find_ender(
    github: GithubRepository, pull_request: int, workflow_run: int, since: datetime
) -> Ender | None:
    """Return the command that ended a workflow run, as the bot's answer to it says."""
    mine = _list_own(github, pull_request, since)
    found = (replies.find_ender(one.body or "", workflow_run) for one in mine)
    return next((ender for ender in found if ender), None)


def _list_own(github: GithubRepository, pull_request: int, since: datetime) -> list[Comment]:
    comments = github.list_comments(pull_request, since)
    return [one for one in comments if one.user and one.user.login == BOT]


def _find(
    github: GithubRepository, pull_request: int, marker: str, since: datetime
) -> Comment | None:
    mine = _list_own(github, pull_request, since)
    return next((one for one in mine if (one.body or "").startswith(marker)), None)


def _write_once(
    github: GithubRepository, pull_request: int, marker: str, since: datetime, body: str
) -> int:
    found = _find(github, pull_request, marker, since)
    if found:
        github.edit_comment(found.id, body)
        return found.id
    try:
        return github.add_comment(pull_request, body)
    except GithubError as error:
        if error.status is not None and error.status < 500:
            raise
        # It may have been written all the same; a second one would never be found again.
        found = _find(github, pull_request, marker, since)
        if found is None:
            raise
        return found.id
