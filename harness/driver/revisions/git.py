"""Git, run so that neither the repository's hooks nor its filters run anything, nor fetch."""

import os
import subprocess
from pathlib import Path

from harness.core.errors import UsageError

#: A checkout of a large repository on a slow disk; anything longer waits for something.
_TIMEOUT_S = 600.0

_QUIET = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "submodule.recurse=false"),
    # Large-file storage would go to the network: its pointers stay pointers, and that is said.
    *("-c", "filter.lfs.smudge="),
    *("-c", "filter.lfs.process="),
    *("-c", "filter.lfs.required=false"),
)

#: What would make git look at another repository than the folder's own, as inside a hook.
_ELSEWHERE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
)


class GitError(Exception):
    """git ended with an error; the text is the first line of what it said."""


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder` and return what it printed, stripped.

    Raises GitError where it says no, UsageError where there is no git.
    """
    environment = {k: v for k, v in os.environ.items() if k not in _ELSEWHERE}
    environment.update(GIT_TERMINAL_PROMPT="0", GIT_LFS_SKIP_SMUDGE="1", GIT_OPTIONAL_LOCKS="0")
    try:
        done = subprocess.run(
            ["git", *_QUIET, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except FileNotFoundError:
        raise UsageError("--rev needs git, and there is none on the PATH") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git {arguments[0]} did not end in {_TIMEOUT_S:g} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise GitError(said[0][:300] if said else f"git {arguments[0]} failed")
    return done.stdout.strip()


def find_git_folders(folder: Path) -> list[Path]:
    """Return `.git` of the repository around `folder`, and where its branches share what they have.

    None if there is no repository. Who can write there can have git run anything.
    """
    try:
        said = git(
            folder, "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir"
        )
    except (GitError, UsageError):
        return []
    top, shared = said.split("\n")
    return [Path(top) / ".git", Path(shared)]


def find_worktree_git(folder: Path, worktree: Path) -> Path:
    """Return git's own folder of a worktree, as the repository around `folder` knows it.

    `.git` in the worktree says it too, but code under test can have written that. Raises GitError.
    """
    for shared in find_git_folders(folder)[1:]:
        for known in sorted((shared / "worktrees").glob("*/gitdir")):
            if known.read_text(errors="replace").strip() == str(worktree / ".git"):
                return known.parent
    raise GitError(f"{worktree} is no worktree")
