"""The event that started the workflow, from its file."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.bot.github.shapes import Comment, Id, Shape
from harness.core.errors import UsageError

MAX_BYTES = 2_000_000


class _Issue(Shape):
    number: Id
    pull_request: dict[str, Any] | None = None


class CommentEvent(Shape):
    """An `issue_comment` event."""

    action: str
    comment: Comment
    issue: _Issue

    @property
    def is_new_by_a_person(self) -> bool:
        """Whether this is a comment just created, on a pull request, by a user who is no bot."""
        user = self.comment.user
        by_person = user is not None and user.type == "User" and not user.login.endswith("[bot]")
        return self.action == "created" and self.issue.pull_request is not None and by_person


def read_event(path: Path) -> CommentEvent:
    """Read the event file. Raise UsageError if it is no `issue_comment` event."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"GITHUB_EVENT_PATH: cannot be read ({type(error).__name__})") from None
    if len(text) > MAX_BYTES:
        raise UsageError(f"GITHUB_EVENT_PATH: larger than {MAX_BYTES} bytes")
    try:
        return CommentEvent.model_validate_json(text)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "all of it"
        raise UsageError(f"GITHUB_EVENT_PATH: no issue_comment event ({place})") from None
