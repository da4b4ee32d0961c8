"""The job that the bot runs in: what GitHub Actions says of it, and where its answers go."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.bot.github.client import GithubRepository
from harness.core.errors import UsageError

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
_WORKFLOW = re.compile(r"[^@]*/([A-Za-z0-9_-]{1,100}\.ya?ml)@.*")


@dataclass(frozen=True, slots=True)
class JobEnvironment:
    """One job of one workflow run."""

    repository: str
    workflow_run: int
    attempt: int
    workflow: str
    """The workflow's file name."""
    api: str
    server: str
    event: Path
    output: Path
    summary: Path
    token: str = field(repr=False)

    @property
    def run_url(self) -> str:
        """The page of this workflow run."""
        return f"{self.server}/{self.repository}/actions/runs/{self.workflow_run}"

    def make_comment_url(self, pull_request: int, comment: int) -> str:
        """Return the address of a comment."""
        return f"{self.server}/{self.repository}/pull/{pull_request}#issuecomment-{comment}"

    def open_repository(self) -> GithubRepository:
        """Return the repository, seen with the job's token."""
        return GithubRepository(self.repository, self.token, self.api)

    def set_outputs(self, **outputs: str) -> None:
        """Set the step's outputs, for later jobs to read."""
        mark = secrets.token_hex(16)
        text = "".join(f"{name}<<{mark}\n{value}\n{mark}\n" for name, value in outputs.items())
        with self.output.open("a", encoding="utf-8") as file:
            file.write(text)

    def append_summary(self, markdown: str) -> None:
        """Append to the job's summary."""
        with self.summary.open("a", encoding="utf-8") as file:
            file.write(markdown + "\n")


def read_environment(environment: Mapping[str, str]) -> JobEnvironment:
    """Read the job from its environment. Raise UsageError that names the variable."""

    def read(name: str) -> str:
        value = environment.get(name, "")
        if not value:
            raise UsageError(f"{name} is not set: this command runs in a GitHub workflow's job")
        return value

    def read_number(name: str) -> int:
        value = read(name)
        if not (value.isascii() and value.isdigit()):
            raise UsageError(f"{name} is not a number")
        return int(value)

    repository = read("GITHUB_REPOSITORY")
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError("GITHUB_REPOSITORY is not OWNER/NAME")
    workflow = _WORKFLOW.fullmatch(read("GITHUB_WORKFLOW_REF"))
    if not workflow:
        raise UsageError("GITHUB_WORKFLOW_REF names no workflow file")
    return JobEnvironment(
        repository=repository,
        workflow_run=read_number("GITHUB_RUN_ID"),
        attempt=read_number("GITHUB_RUN_ATTEMPT"),
        workflow=workflow[1],
        api=read("GITHUB_API_URL"),
        server=read("GITHUB_SERVER_URL"),
        event=Path(read("GITHUB_EVENT_PATH")),
        output=Path(read("GITHUB_OUTPUT")),
        summary=Path(read("GITHUB_STEP_SUMMARY")),
        token=read("GITHUB_TOKEN"),
    )
