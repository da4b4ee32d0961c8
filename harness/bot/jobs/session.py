"""One command while it is handled: where it was written, and the one comment that answers it."""

from dataclasses import dataclass

from harness.bot.github.client import GithubRepository
from harness.bot.github.environment import JobEnvironment
from harness.bot.github.event import CommentEvent
from harness.bot.jobs.comments import write_answer
from harness.bot.wording.replies import CommandDetails


@dataclass(frozen=True, slots=True)
class CommandSession:
    """A command that is being handled."""

    environment: JobEnvironment
    github: GithubRepository
    event: CommentEvent

    @property
    def pull_request(self) -> int:
        """The pull request's number."""
        return self.event.issue.number

    @property
    def login(self) -> str:
        """Who wrote the comment."""
        return self.event.comment.user.login if self.event.comment.user else ""

    @property
    def details(self) -> CommandDetails:
        """What is known before anything was decided."""
        return CommandDetails(self.event.comment.id, self.login, self.environment.run_url)

    def answer(self, body: str) -> int:
        """Write the answer into the command's comment and the job's summary. Return its id."""
        self.environment.append_summary(body)
        comment = self.event.comment
        return write_answer(self.github, self.pull_request, comment.id, comment.created_at, body)
