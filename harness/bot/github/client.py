"""What the bot reads and does in one GitHub repository.

Every answer is checked against a shape. All methods raise GithubError.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Self

from pydantic import TypeAdapter

from harness.bot.github.shapes import (
    Artifact,
    Artifacts,
    Comment,
    Commit,
    Comparison,
    GitTree,
    Issue,
    Permission,
    PullRequest,
    Push,
    Pushes,
    WorkflowJob,
    WorkflowJobs,
    WorkflowRun,
    WorkflowRuns,
)
from harness.bot.github.slices import format_time, list_in_slices
from harness.bot.github.transport import GithubError, Transport

BOT = "github-actions[bot]"
"""Who the workflow's token speaks as."""

#: Every run that was not skipped is in one of these statuses or conclusions. They are asked for in
#: the order that a run goes through them: one that moves on meanwhile is still found.
ACTIVE = ("requested", "waiting", "pending", "queued", "in_progress")
_ENDED = ("success", "failure", "cancelled", "timed_out", "action_required", "startup_failure")
ANY = (*ACTIVE, *_ENDED)


@dataclass(frozen=True, slots=True)
class CompletedCheck:
    """A check run that has ended, as a pull request's page shows it."""

    name: str
    conclusion: str
    """One of GitHub's: success, failure, neutral, cancelled, timed_out."""
    title: str
    summary: str
    url: str


class GithubRepository:
    """One repository, seen with the job's token. Inside `with` one connection serves all."""

    def __init__(self, repository: str, token: str, url: str) -> None:
        self._transport = Transport(repository, token, url)
        self._rest = self._transport.rest

    def __enter__(self) -> Self:
        self._transport.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._transport.__exit__(*raised)

    def read_permission(self, login: str) -> Permission:
        """Return the user's role in the repository."""
        return self._transport.read(
            f"read the permission of {login}",
            Permission,
            self._rest.repos.get_collaborator_permission_level,
            username=login,
        )

    def read_pull_request(self, number: int) -> PullRequest:
        """Return a pull request as it is now."""
        return self._transport.read(
            f"read #{number}", PullRequest, self._rest.pulls.get, pull_number=number
        )

    def list_commits(self, pull_request: int) -> set[str]:
        """Return the commits of a pull request; GitHub lists the first 250."""
        pages = self._transport.read_pages(
            f"list the commits of #{pull_request}",
            TypeAdapter(list[Commit]),
            self._rest.pulls.list_commits,
            pull_number=pull_request,
        )
        return {commit.sha for page in pages for commit in page}

    def find_last_push(self, branch: str) -> Push | None:
        """Return what last moved a branch; None if GitHub does not say."""
        try:
            found = self._transport.read(
                "list the pushes to the branch",
                Pushes,
                self._rest.repos.list_activities,
                ref=f"refs/heads/{branch}",
                per_page=1,
            )
        except GithubError as error:
            if error.status in (403, 404, 422):
                return None
            raise
        return next(iter(found.root), None)

    def find_merge_base(self, base: str, head: str) -> str:
        """Return the newest common ancestor of two commits."""
        compared = self._transport.read(
            "find the merge base",
            Comparison,
            self._rest.repos.compare_commits,
            basehead=f"{base}...{head}",
            per_page=1,
        )
        return compared.merge_base_commit.sha

    def read_tree(self, sha: str) -> GitTree:
        """Return every file of a commit."""
        return self._transport.read(
            f"list the files of {sha}",
            GitTree,
            self._rest.git.get_tree,
            tree_sha=sha,
            recursive="1",
        )

    def read_comment(self, number: int) -> Comment:
        """Return a comment by its id."""
        return self._transport.read(
            f"read comment {number}", Comment, self._rest.issues.get_comment, comment_id=number
        )

    def list_comments(self, issue: int, since: datetime) -> list[Comment]:
        """Return the comments of an issue or pull request that changed since a time."""
        pages = self._transport.read_pages(
            f"list the comments of #{issue}",
            TypeAdapter(list[Comment]),
            self._rest.issues.list_comments,
            issue_number=issue,
            since=format_time(since),
        )
        return [comment for page in pages for comment in page]

    def add_comment(self, issue: int, body: str) -> int:
        """Write a comment and return its id."""
        made = self._transport.read(
            f"comment on #{issue}",
            Comment,
            self._rest.issues.create_comment,
            issue_number=issue,
            body=body,
        )
        return made.id

    def edit_comment(self, number: int, body: str) -> None:
        """Replace the body of a comment."""
        self._transport.call(
            f"edit comment {number}",
            self._rest.issues.update_comment,
            comment_id=number,
            body=body,
        )

    def add_reaction(self, comment: int, content: str) -> None:
        """Add a reaction, for example eyes, to a comment."""
        self._transport.call(
            f"react to comment {comment}",
            self._rest.reactions.create_for_issue_comment,
            comment_id=comment,
            content=content,
        )

    def list_workflow_runs(
        self, workflow: str, event: str, since: datetime, statuses: Sequence[str] = ANY
    ) -> list[WorkflowRun]:
        """Return a workflow's runs since a time, without skipped ones."""

        def list_slice(status: str, created: str) -> list[WorkflowRun]:
            pages = self._transport.read_pages(
                f"list the {status} runs of {workflow}",
                TypeAdapter(WorkflowRuns),
                self._rest.actions.list_workflow_runs,
                workflow_id=workflow,
                event=event,
                status=status,
                created=created,
            )
            return [run for page in pages for run in page.entries]

        listed = (list_in_slices(partial(list_slice, status), since) for status in statuses)
        found = [run for runs in listed for run in runs]
        return list({run.id: run for run in found}.values())

    def list_newest_runs(
        self, workflow: str, event: str, since: datetime, actor: str | None = None
    ) -> list[WorkflowRun]:
        """Return the newest 100 runs, those that one person started or all, skipped ones too."""
        by = {"actor": actor} if actor else {}
        found = self._transport.read(
            f"list the runs that {actor or 'anybody'} started",
            WorkflowRuns,
            self._rest.actions.list_workflow_runs,
            workflow_id=workflow,
            event=event,
            **by,
            created=f">={format_time(since)}",
            per_page=100,
        )
        return found.entries

    def list_jobs(self, workflow_run: int) -> list[WorkflowJob]:
        """Return the jobs of a workflow run, those of its earlier attempts included."""
        pages = self._transport.read_pages(
            f"list the jobs of run {workflow_run}",
            TypeAdapter(WorkflowJobs),
            self._rest.actions.list_jobs_for_workflow_run,
            run_id=workflow_run,
            filter_="all",
        )
        return [job for page in pages for job in page.entries]

    def cancel_workflow_run(self, number: int) -> None:
        """Cancel a workflow run; one that has ended is left as it is."""
        try:
            self._transport.call(
                f"cancel run {number}", self._rest.actions.cancel_workflow_run, run_id=number
            )
        except GithubError as error:
            if error.status != 409:
                raise

    def complete_check_run(self, sha: str, check: CompletedCheck) -> None:
        """Add a check run that has ended to a commit."""
        self._transport.call(
            f"add a check run to {sha}",
            self._rest.checks.create,
            name=check.name,
            head_sha=sha,
            status="completed",
            conclusion=check.conclusion,
            details_url=check.url,
            output={"title": check.title, "summary": check.summary},
        )

    def list_artifacts(self, workflow_run: int, name: str) -> list[Artifact]:
        """Return the artifacts of a workflow run that have this name."""
        found = self._transport.read(
            f"list the artifacts of run {workflow_run}",
            Artifacts,
            self._rest.actions.list_workflow_run_artifacts,
            run_id=workflow_run,
            name=name,
        )
        return [artifact for artifact in found.entries if artifact.name == name]

    def download_artifact(self, number: int) -> bytes:
        """Return an artifact's zip file. Check its size first."""
        answer = self._transport.call(
            f"download artifact {number}",
            self._rest.actions.download_artifact,
            artifact_id=number,
            archive_format="zip",
        )
        return bytes(answer.content)

    def list_open_issues(self, label: str) -> list[Issue]:
        """Return the open issues that have a label, whoever wrote them."""
        pages = self._transport.read_pages(
            f"list the issues labelled {label}",
            TypeAdapter(list[Issue]),
            self._rest.issues.list_for_repo,
            labels=label,
            state="open",
        )
        return [issue for page in pages for issue in page]

    def open_issue(self, title: str, body: str, label: str) -> int:
        """Open an issue and return its number."""
        made = self._transport.read(
            "open an issue",
            Issue,
            self._rest.issues.create,
            title=title,
            body=body,
            labels=[label],
        )
        return made.number

    def edit_issue(self, number: int, **changes: str) -> None:
        """Change an issue's body, title or state."""
        self._transport.call(
            f"edit issue #{number}", self._rest.issues.update, issue_number=number, **changes
        )
