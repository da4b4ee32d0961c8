"""What the bot reads of GitHub's answers and events: checked shapes, nothing taken on trust.

Unknown keys are ignored, since GitHub adds some; a missing or odd one is an error.
"""

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel

Login = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}(\[bot\])?$")]
Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Repository = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$")]


_PLAIN_FILES = ("100644", "100755")


class Shape(BaseModel):
    """Base of what is read: frozen, no conversions but those of JSON."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class User(Shape):
    """Who wrote something. `type`: User, Bot, Organization, Mannequin."""

    login: Login
    type: str


class Permission(Shape):
    """A user's role in the repository. `role_name` may be a custom one; `permission` its base."""

    permission: str
    role_name: str | None = None


class _Repo(Shape):
    full_name: Repository


class _Branch(Shape):
    sha: Sha
    ref: str
    repo: _Repo | None
    """None if the repository is gone."""


class PullRequest(Shape):
    """A pull request as it stands now."""

    number: Id
    state: str
    user: User | None
    head: _Branch
    base: _Branch

    @property
    def is_fork(self) -> bool:
        """Whether the head lies in another repository, or one that is gone."""
        return not (self.head.repo and self.base.repo) or (
            self.head.repo.full_name != self.base.repo.full_name
        )


class Commit(Shape):
    """A commit of a list."""

    sha: Sha


class Comparison(Shape):
    """Two commits compared."""

    merge_base_commit: Commit


class Push(Shape):
    """What moved a branch, of any kind: push, force push, merge. Its time is the server's."""

    after: Sha
    timestamp: AwareDatetime


class Pushes(RootModel[list[Push]]):
    """The newest first."""


class GitTreeEntry(Shape):
    """An entry of a tree. `mode` 100644 and 100755 are plain files, 120000 a symbolic link."""

    path: str
    mode: str


class GitTree(Shape):
    """A commit's files, `truncated` if there are more than GitHub lists."""

    truncated: bool
    tree: list[GitTreeEntry]

    @property
    def paths(self) -> set[str]:
        """The paths of everything, folders included."""
        return {entry.path for entry in self.tree}

    @property
    def plain_files(self) -> set[str]:
        """The paths that are neither links nor folders nor submodules."""
        return {entry.path for entry in self.tree if entry.mode in _PLAIN_FILES}


class Comment(Shape):
    """A comment of a pull request."""

    id: Id
    body: str | None = None
    user: User | None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class WorkflowRun(Shape):
    """A workflow run. `display_title` is its run-name."""

    id: Id
    display_title: str
    status: str | None
    conclusion: str | None
    created_at: AwareDatetime
    head_branch: str | None = None


class CountedPage(Shape):
    """A page of a list that says how many entries there are in all."""

    total_count: int
    entries: list[Any]


class WorkflowRuns(CountedPage):
    """A page of workflow runs."""

    entries: list[WorkflowRun] = Field(alias="workflow_runs")


class WorkflowJob(Shape):
    """A job of a workflow run."""

    name: str
    status: str
    conclusion: str | None
    started_at: AwareDatetime | None
    completed_at: AwareDatetime | None
    html_url: str | None = None


class WorkflowJobs(CountedPage):
    """A page of jobs."""

    entries: list[WorkflowJob] = Field(alias="jobs")


class Artifact(Shape):
    """A file that a run left. `size_in_bytes` is GitHub's, of the zip file."""

    id: Id
    name: str
    size_in_bytes: int
    expired: bool


class Artifacts(CountedPage):
    """A page of artifacts."""

    entries: list[Artifact] = Field(alias="artifacts")


class Issue(Shape):
    """An issue of the repository."""

    number: Id
    state: str
    body: str | None = None
    user: User | None
