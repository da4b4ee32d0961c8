"""A git worktree per revision: made for a run, shared by runs, gone with the last of them.

All changes happen under one lock; each run holds a shared lock on every revision it measures. Locks
are the kernel's, so a killed run holds none, and the next run with `--rev` removes what it left.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.attempt.scratch import remove_tree
from harness.core.errors import UsageError
from harness.core.revision import Revision
from harness.driver.revisions.git import GitError, find_worktree_git, git
from harness.driver.state import find_state_folder


def find_worktrees_folder() -> Path:
    """Return where worktrees are made: outside every checkout, unless somebody says otherwise."""
    return find_state_folder(of_revisions=True) / "worktrees"


def locate_worktree(revision: Revision) -> Path:
    """Where the revision's worktree stands, absolute."""
    return find_worktrees_folder() / revision.sha


@contextlib.contextmanager
def hold_worktrees(revisions: Sequence[Revision]) -> Iterator[None]:
    """Have a fresh worktree per revision while this is open. Raises UsageError where git refuses.

    One that another run stands on is shared, if it still is what the commit holds.
    """
    if not revisions:
        yield
        return
    folder = find_worktrees_folder()
    folder.mkdir(parents=True, exist_ok=True)
    # pytest looks for its configuration in every folder above a suite. It must not find that of the
    # checkout around the worktrees.
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    held: list[tuple[Revision, int]] = []
    try:
        with _exclusive():
            _sweep()
            for revision in revisions:
                held.append((revision, _acquire(revision)))
        yield
    finally:
        with _exclusive():
            for revision, lock in held:
                os.close(lock)
                _remove_unused(revision.sha)


def list_changed_files(revision: Revision) -> list[str]:
    """Tracked files of the revision's worktree that are not as committed."""
    tree = locate_worktree(revision)
    try:
        own = find_worktree_git(Path.cwd(), tree)
        places = (f"--git-dir={own}", f"--work-tree={tree}")
        # Not into submodules: git would read the configuration that lies in them.
        options = ("--name-only", "--ignore-submodules=all", "--no-ext-diff", "--no-textconv")
        return git(tree, *places, "diff", *options, revision.sha).splitlines()
    except (GitError, FileNotFoundError) as error:
        return [str(error)]


def _acquire(revision: Revision) -> int:
    lock = _open_lock(revision.sha)
    try:
        if _try_lock(lock):
            _remove(revision.sha)
            git(
                Path.cwd(),
                "worktree",
                "add",
                "--force",
                "--detach",
                str(locate_worktree(revision)),
                revision.sha,
            )
        fcntl.flock(lock, fcntl.LOCK_SH)
        if found := list_changed_files(revision):
            raise UsageError(
                f"--rev {revision.named}: another run uses {locate_worktree(revision)} and changed "
                f"{found[0]}; wait until it has ended"
            )
    except GitError as error:
        os.close(lock)
        raise UsageError(
            f"--rev {revision.named}: no worktree of {revision.sha}: {error}"
        ) from None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _sweep() -> None:
    """Remove what killed runs left behind."""
    for left in find_worktrees_folder().glob("*.lock"):
        if left.name != _GUARD:
            _remove_unused(left.stem)


def _remove_unused(sha: str) -> None:
    lock = _open_lock(sha)
    try:
        if _try_lock(lock):
            _remove(sha)
            (find_worktrees_folder() / f"{sha}.lock").unlink()
    finally:
        os.close(lock)


def _remove(sha: str) -> None:
    path = find_worktrees_folder() / sha
    remove_tree(path)  # first: git looks into one that stands there
    with contextlib.suppress(GitError):  # it knows of none
        git(Path.cwd(), "worktree", "remove", "--force", "--force", str(path))


_GUARD = "all.lock"


@contextlib.contextmanager
def _exclusive() -> Iterator[None]:
    with (find_worktrees_folder() / _GUARD).open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def _open_lock(sha: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(find_worktrees_folder() / f"{sha}.lock", flags, 0o644)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
