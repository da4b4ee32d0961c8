"""One command on the bot's desk: where it stands, and the one comment that answers it."""

from dataclasses import dataclass

from harness.bot import comments
from harness.bot.context import Context
from harness.bot.event import CommentEvent
from harness.bot.github import Github
from harness.bot.sticky import post


@dataclass(frozen=True, slots=True)
class Desk:
    """A command that is being handled."""

    context: Context
    github: Github
    event: CommentEvent

    @property
    def pull(self) -> int:
        """The pull request's number."""
        return self.event.issue.number

    @property
    def login(self) -> str:
        """Who wrote the comment."""
        return self.event.comment.user.login if self.event.comment.user else ""

    @property
    def about(self) -> comments.About:
        """What is known before anything was decided."""
        return comments.About(self.event.comment.id, self.login, self.context.run_url)

    def write(self, body: str) -> int:
        """Put the answer into the command's comment and the job's summary. Returns its id."""
        self.context.summarise(body)
        comment = self.event.comment
        return post(self.github, self.pull, comment.id, comment.created_at, body)
