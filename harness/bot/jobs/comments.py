"""One comment per command: found again by its marker, written once, then edited."""

from datetime import datetime

from harness.bot.github.client import BOT, GithubRepository
from harness.bot.github.shapes import Comment
from harness.bot.github.transport import GithubError
from harness.bot.wording.replies import format_marker


def find_answer(
    github: GithubRepository, pull_request: int, comment: int, since: datetime
) -> Comment | None:
    """Return the bot's own answer to a comment. `since`: when that comment was written."""
    for one in github.list_comments(pull_request, since):
        author = one.user.login if one.user else None
        if author == BOT and (one.body or "").startswith(format_marker(comment)):
            return one
    return None


def write_answer(
    github: GithubRepository, pull_request: int, comment: int, since: datetime, body: str
) -> int:
    """Write the answer to a comment, over an earlier one if there is one. Return its id."""
    found = find_answer(github, pull_request, comment, since)
    if found:
        github.edit_comment(found.id, body)
        return found.id
    try:
        return github.add_comment(pull_request, body)
    except GithubError as error:
        if error.status is not None and error.status < 500:
            raise
        # It may have been written all the same; a second one would never be found again.
        found = find_answer(github, pull_request, comment, since)
        if found is None:
            raise
        return found.id
