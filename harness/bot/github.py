"""GitHub at the edge: what the bot reads and does there, through githubkit.

Every answer is checked against a shape; every failure is one `GithubError` that says what was
tried. No message holds an answer's text, a header or the token.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Self, TypeVar

from githubkit import GitHub, TokenAuthStrategy
from githubkit.exception import (
    GitHubException,
    RateLimitExceeded,
    RequestError,
    RequestFailed,
)
from githubkit.response import Response
from githubkit.typing import RetryOption
from pydantic import TypeAdapter, ValidationError

from harness.bot.shapes import (
    Artifact,
    Artifacts,
    CheckSuites,
    Comment,
    Commit,
    Comparison,
    Issue,
    Job,
    Jobs,
    Permission,
    Pull,
    Run,
    Runs,
    Shape,
    Tree,
)
from harness.core.errors import HarnessError

BOT = "github-actions[bot]"
"""Who the workflow's token speaks as."""

TIMEOUT_S = 20.0
#: Seconds before each further try of a request that got no good answer.
WAITS_S = (1.0, 4.0)
#: A rate limit that lasts longer is an error: a runner does not sit it out.
LONGEST_WAIT = timedelta(seconds=60)
_PAGE = 100
_MOST_PAGES = 10

#: A run is in one of these, a skipped one (a comment that is no command) in neither. In the order
#: that a run goes through them: one that moves on while they are asked for is met all the same.
_ACTIVE = ("requested", "waiting", "pending", "queued", "in_progress")
_ENDED = ("success", "failure", "cancelled", "timed_out", "action_required", "startup_failure")

S = TypeVar("S", bound=Shape)


class GithubError(HarnessError):
    """GitHub refused, failed, or answered what cannot be read. `status`: None without an answer."""

    def __init__(self, doing: str, status: int | None, why: str) -> None:
        super().__init__(f"GitHub, asked to {doing}: {why}")
        self.doing = doing
        self.status = status


def _retry(error: GitHubException, tried: int) -> RetryOption:
    """Again after a rate limit that is short, and where asking twice does what asking once does."""
    if tried >= len(WAITS_S):
        return RetryOption(False)
    wait = timedelta(seconds=WAITS_S[tried])
    if isinstance(error, RateLimitExceeded):
        # githubkit takes a wait of nothing for one of a minute.
        return RetryOption(error.retry_after <= LONGEST_WAIT, max(error.retry_after, wait))
    if isinstance(error, RequestFailed):
        again = error.response.status_code >= 500 and error.request.method != "POST"
    else:
        again = _method(error) == "GET"
    return RetryOption(again, wait)


def _instant(time: datetime) -> str:
    """As GitHub reads it in a query."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _method(error: GitHubException) -> str:
    request = getattr(getattr(error, "exc", None), "_request", None)
    return request.method if request else ""


class Github:
    """One repository, seen with the workflow's token. All methods raise GithubError.

    Inside `with` one connection serves all requests.
    """

    def __init__(self, repository: str, token: str, url: str) -> None:
        self._where = dict(zip(("owner", "repo"), repository.split("/", 1), strict=True))
        self._client = GitHub(
            TokenAuthStrategy(token),
            base_url=url,
            user_agent="harness-bot",
            timeout=TIMEOUT_S,
            http_cache=False,
            auto_retry=_retry,
        )
        self._rest = self._client.rest

    def __enter__(self) -> Self:
        self._client.__enter__()  # type: ignore[no-untyped-call] # githubkit leaves it out
        return self

    def __exit__(self, *raised: Any) -> None:
        self._client.__exit__(*raised)

    def permission(self, login: str) -> Permission:
        """The user's role in the repository."""
        return self._read(
            f"read the permission of {login}",
            Permission,
            self._rest.repos.get_collaborator_permission_level,
            username=login,
        )

    def pull(self, number: int) -> Pull:
        """A pull request as it stands now."""
        return self._read(f"read #{number}", Pull, self._rest.pulls.get, pull_number=number)

    def commits(self, number: int) -> set[str]:
        """The commits of a pull request; GitHub lists the first 250."""
        pages = self._pages(
            f"list the commits of #{number}",
            TypeAdapter(list[Commit]),
            self._rest.pulls.list_commits,
            pull_number=number,
        )
        return {commit.sha for page in pages for commit in page}

    def first_seen(self, sha: str, branch: str) -> datetime | None:
        """When the earliest check suite was made for this commit on this branch.

        Suites of the same commit on another branch do not count: there it may have stood long
        before it became this branch's head.
        """
        pages = self._pages(
            f"list the check suites of {sha}",
            TypeAdapter(CheckSuites),
            self._rest.checks.list_suites_for_ref,
            ref=sha,
        )
        suites = [suite for page in pages for suite in page.check_suites]
        times = [s.created_at for s in suites if s.created_at and s.head_branch == branch]
        return min(times, default=None)

    def merge_base(self, base: str, head: str) -> str:
        """The commit that two commits go back to."""
        compared = self._read(
            "find the merge base",
            Comparison,
            self._rest.repos.compare_commits,
            basehead=f"{base}...{head}",
            per_page=1,
        )
        return compared.merge_base_commit.sha

    def tree(self, sha: str) -> Tree:
        """Every file of a commit."""
        return self._read(
            f"list the files of {sha}", Tree, self._rest.git.get_tree, tree_sha=sha, recursive="1"
        )

    def comment(self, number: int) -> Comment:
        """A comment by its id."""
        return self._read(
            f"read comment {number}", Comment, self._rest.issues.get_comment, comment_id=number
        )

    def comments(self, issue: int, since: datetime) -> list[Comment]:
        """The comments of an issue or a pull request that are new or changed since a time."""
        pages = self._pages(
            f"list the comments of #{issue}",
            TypeAdapter(list[Comment]),
            self._rest.issues.list_comments,
            issue_number=issue,
            since=_instant(since),
        )
        return [comment for page in pages for comment in page]

    def add_comment(self, issue: int, body: str) -> int:
        """Write a comment. Returns its id."""
        made = self._read(
            f"comment on #{issue}",
            Comment,
            self._rest.issues.create_comment,
            issue_number=issue,
            body=body,
        )
        return made.id

    def edit_comment(self, number: int, body: str) -> None:
        """Put another body into a comment."""
        self._call(
            f"edit comment {number}",
            self._rest.issues.update_comment,
            comment_id=number,
            body=body,
        )

    def react(self, comment: int, content: str) -> None:
        """Add a reaction: eyes, confused, rocket."""
        self._call(
            f"react to comment {comment}",
            self._rest.reactions.create_for_issue_comment,
            comment_id=comment,
            content=content,
        )

    def runs(self, workflow: str, event: str, since: datetime) -> list[Run]:
        """A workflow's runs since a time, less those that were skipped. Newest first per status."""
        found: dict[int, Run] = {}
        for status in (*_ACTIVE, *_ENDED):
            pages = self._pages(
                f"list the {status} runs of {workflow}",
                TypeAdapter(Runs),
                self._rest.actions.list_workflow_runs,
                workflow_id=workflow,
                event=event,
                status=status,
                created=f">={_instant(since)}",
            )
            found |= {run.id: run for page in pages for run in page.workflow_runs}
        return list(found.values())

    def jobs(self, run: int) -> list[Job]:
        """The jobs of a workflow run, those of earlier attempts of it included."""
        pages = self._pages(
            f"list the jobs of run {run}",
            TypeAdapter(Jobs),
            self._rest.actions.list_jobs_for_workflow_run,
            run_id=run,
            filter_="all",
        )
        return [job for page in pages for job in page.jobs]

    def cancel(self, run: int) -> None:
        """Cancel a workflow run; one that has ended is left as it is."""
        try:
            self._call(f"cancel run {run}", self._rest.actions.cancel_workflow_run, run_id=run)
        except GithubError as error:
            if error.status != 409:
                raise

    def artifacts(self, run: int, name: str) -> list[Artifact]:
        """What a workflow run left under a name."""
        found = self._read(
            f"list the artifacts of run {run}",
            Artifacts,
            self._rest.actions.list_workflow_run_artifacts,
            run_id=run,
            name=name,
        )
        return [artifact for artifact in found.artifacts if artifact.name == name]

    def download(self, artifact: int) -> bytes:
        """An artifact's zip file. Ask for its size first."""
        answer = self._call(
            f"download artifact {artifact}",
            self._rest.actions.download_artifact,
            artifact_id=artifact,
            archive_format="zip",
        )
        return bytes(answer.content)

    def open_issues(self, label: str) -> list[Issue]:
        """Open issues under a label, whoever wrote them."""
        pages = self._pages(
            f"list the issues labelled {label}",
            TypeAdapter(list[Issue]),
            self._rest.issues.list_for_repo,
            labels=label,
            state="open",
        )
        return [issue for page in pages for issue in page]

    def open_issue(self, title: str, body: str, label: str) -> int:
        """Open an issue. Returns its number."""
        made = self._read(
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
        self._call(
            f"edit issue #{number}", self._rest.issues.update, issue_number=number, **changes
        )

    def _read(self, doing: str, shape: type[S], method: Callable[..., Any], **given: Any) -> S:
        return _checked(doing, TypeAdapter(shape), self._call(doing, method, **given))

    def _pages(
        self, doing: str, shape: TypeAdapter[Any], method: Callable[..., Any], **given: Any
    ) -> Iterator[Any]:
        """Every page. Raises GithubError where there are more than are worth reading."""
        for page in count(1):
            answer = self._call(doing, method, per_page=_PAGE, page=page, **given)
            yield _checked(doing, shape, answer)
            if 'rel="next"' not in answer.headers.get("link", ""):
                return
            if page == _MOST_PAGES:
                raise GithubError(doing, None, f"more than {_PAGE * _MOST_PAGES} entries")

    def _call(self, doing: str, method: Callable[..., Any], **given: Any) -> Response[Any]:
        try:
            answer: Response[Any] = method(**self._where, **given)
        except RequestFailed as error:
            status = error.response.status_code
            raise GithubError(doing, status, f"answered {status}") from None
        except RequestError as error:
            raise GithubError(doing, None, f"no answer ({type(error.exc).__name__})") from None
        except (GitHubException, ValueError, OverflowError) as error:
            raise GithubError(doing, None, f"unusable ({type(error).__name__})") from None
        return answer


def _checked(doing: str, shape: TypeAdapter[S], answer: Response[Any]) -> S:
    try:
        return shape.validate_json(answer.content)
    except ValidationError as error:
        places = {".".join(map(str, one["loc"])) or "all of it" for one in error.errors()}
        where = ", ".join(sorted(places)[:3])
        raise GithubError(doing, None, f"its answer is not as documented ({where})") from None
