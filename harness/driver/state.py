"""Where a run keeps its files, and why a repository may not bring them along."""

from pathlib import Path

from harness.core.errors import UsageError
from harness.driver.revisions.git import GitError, git

STATE_FOLDER = Path(".harness")


def refuse_tracked_state() -> None:
    """Raise UsageError if the repository tracks the folder that runs are kept in.

    A store in it could answer for the measurement, and a link in it could lead what is written
    anywhere.
    """
    try:
        tracked = git(Path.cwd(), "ls-files", "--", str(STATE_FOLDER)).splitlines()
    except (GitError, UsageError):
        return  # no repository, or no git: nothing can be tracked
    if tracked:
        raise UsageError(
            f"this repository tracks {tracked[0]}: {STATE_FOLDER} holds results, which must not "
            f"come with a checkout; `git rm -r --cached {STATE_FOLDER}` and commit"
        )
