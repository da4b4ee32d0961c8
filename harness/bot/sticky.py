"""One comment per command: found again by its marker, written once, then edited."""

from datetime import datetime

from harness.bot.comments import marker
from harness.bot.github import BOT, Github, GithubError
from harness.bot.shapes import Comment


def find(github: Github, pull: int, answers: int, since: datetime) -> Comment | None:
    """The bot's own answer to a comment. `since`: when that comment was written."""
    for comment in github.comments(pull, since):
        author = comment.user.login if comment.user else None
        if author == BOT and (comment.body or "").startswith(marker(answers)):
            return comment
    return None


def post(github: Github, pull: int, answers: int, since: datetime, body: str) -> int:
    """Write the answer, over an earlier one if there is one. Returns its id."""
    found = find(github, pull, answers, since)
    if found:
        github.edit_comment(found.id, body)
        return found.id
    try:
        return github.add_comment(pull, body)
    except GithubError as error:
        if error.status is not None and error.status < 500:
            raise
        # It may have been written all the same; a second one would never be found again.
        found = find(github, pull, answers, since)
        if found is None:
            raise
        return found.id
