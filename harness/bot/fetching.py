"""The result that a job of this workflow run left, fetched from GitHub and checked."""

from typing import Any

from harness.bot.artifact import ARTIFACT, RejectedError, result_of
from harness.bot.github import Github
from harness.report.schema import MAX_BYTES


def fetch_result(github: Github, run: int) -> dict[str, Any] | None:
    """The `harness.run/1` object of a workflow run; None where it left none.

    Whether it is of the commits that were asked for is the caller's to check. Raises RejectedError
    for one that cannot be believed, GithubError.
    """
    found = [one for one in github.artifacts(run, ARTIFACT) if not one.expired]
    if not found:
        return None
    if len(found) > 1:
        raise RejectedError(f"{len(found)} artifacts are called {ARTIFACT}")
    if found[0].size_in_bytes > MAX_BYTES:
        raise RejectedError(f"the artifact is larger than {MAX_BYTES} bytes")
    return result_of(github.download(found[0].id))
