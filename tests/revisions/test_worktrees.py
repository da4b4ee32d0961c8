"""Worktrees: fresh, shared, gone with the last run, swept after a kill; no hook or filter runs."""

import multiprocessing
import os
import shutil
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.core.revision import Revision
from harness.driver.options import RunOptions
from harness.driver.processes import choose_sandbox
from harness.driver.revisions.resolve import resolve
from harness.driver.revisions.worktrees import (
    find_worktrees_folder,
    hold_worktrees,
    list_changed_files,
    locate_worktree,
)
from tests.revisions.conftest import Repository

_spawn = multiprocessing.get_context("spawn")


@pytest.fixture(autouse=True)
def inside(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository.path)


@pytest.fixture
def revisions(repository: Repository) -> tuple[Revision, ...]:
    repository.commit({"value.txt": "base", "sub/x": ""})
    repository.commit({"value.txt": "head"})
    return resolve(("HEAD~1", "HEAD"), (), ())


def values(revisions: tuple[Revision, ...]) -> list[str]:
    return [(locate_worktree(revision) / "value.txt").read_text() for revision in revisions]


def test_each_revision_stands_as_committed_and_none_is_left(
    repository: Repository, revisions: tuple[Revision, ...]
) -> None:
    with hold_worktrees(revisions):
        assert values(revisions) == ["base", "head"]
        assert len(repository.worktrees()) == 2
        assert not list_changed_files(revisions[0])
        (locate_worktree(revisions[0]) / "value.txt").write_text("golden")
        assert list_changed_files(revisions[0]) == ["value.txt"]
    assert repository.worktrees() == []
    assert not [path for path in find_worktrees_folder().iterdir() if path.is_dir()]


def test_what_a_run_wrote_is_not_there_for_the_next(revisions: tuple[Revision, ...]) -> None:
    for _ in range(2):
        with hold_worktrees(revisions):
            assert values(revisions) == ["base", "head"]
            assert not (locate_worktree(revisions[0]) / "stale.pyc").exists()
            (locate_worktree(revisions[0]) / "stale.pyc").write_text("x")
            (locate_worktree(revisions[0]) / "value.txt").write_text("changed")


def test_an_error_inside_removes_them_too(
    repository: Repository, revisions: tuple[Revision, ...]
) -> None:
    with pytest.raises(KeyboardInterrupt), hold_worktrees(revisions):
        raise KeyboardInterrupt
    assert repository.worktrees() == []


def hold(
    folder: str, revisions: tuple[Revision, ...], ready: Event, leave: Event
) -> None:  # pragma: no cover - runs in a process of its own
    os.chdir(folder)
    with hold_worktrees(revisions):
        ready.set()
        leave.wait(30)


class Other:
    """Another run, in a process of its own."""

    def __init__(self, repository: Repository, revisions: tuple[Revision, ...]) -> None:
        self.ready, self.leave = _spawn.Event(), _spawn.Event()
        arguments = (str(repository.path), revisions, self.ready, self.leave)
        self.process = _spawn.Process(target=hold, args=arguments)
        self.process.start()
        assert self.ready.wait(30)

    def end(self) -> None:
        self.leave.set()
        self.process.join(30)


def test_two_runs_share_a_revision_and_the_last_removes_it(
    repository: Repository, revisions: tuple[Revision, ...]
) -> None:
    other = Other(repository, revisions[:1])
    with hold_worktrees(revisions):
        inode = locate_worktree(revisions[0]).stat().st_ino
        other.end()
        assert locate_worktree(revisions[0]).stat().st_ino == inode
        assert values(revisions) == ["base", "head"]
    assert repository.worktrees() == []


def test_a_shared_tree_that_the_other_run_changed_is_refused(
    repository: Repository, revisions: tuple[Revision, ...]
) -> None:
    other = Other(repository, revisions)
    try:
        (locate_worktree(revisions[0]) / "value.txt").write_text("golden")
        with (
            pytest.raises(UsageError, match=r"another run uses .* changed value.txt"),
            hold_worktrees(revisions),
        ):
            pass
        assert len(repository.worktrees()) == 2
    finally:
        other.end()
    assert repository.worktrees() == []


def test_what_a_killed_run_left_is_removed_by_the_next(
    repository: Repository, revisions: tuple[Revision, ...]
) -> None:
    other = Other(repository, revisions)
    os.kill(other.process.pid or 0, signal.SIGKILL)
    other.process.join()
    assert len(repository.worktrees()) == 2
    with hold_worktrees(revisions[1:]):
        assert repository.worktrees() == [str(locate_worktree(revisions[1]))]
    assert repository.worktrees() == []


def test_a_folder_removed_by_hand_is_made_anew(
    repository: Repository, revisions: tuple[Revision, ...]
) -> None:
    other = Other(repository, revisions)
    os.kill(other.process.pid or 0, signal.SIGKILL)
    other.process.join()
    shutil.rmtree(find_worktrees_folder())
    with hold_worktrees(revisions):
        assert values(revisions) == ["base", "head"]
    assert repository.worktrees() == []


def test_no_hook_runs(
    repository: Repository, revisions: tuple[Revision, ...], tmp_path: Path
) -> None:
    hook = repository.path / ".git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    repository.git("checkout", "--quiet", "--detach")
    assert (tmp_path / "ran").exists(), "the hook would run"
    (tmp_path / "ran").unlink()
    with hold_worktrees(revisions):
        assert not (tmp_path / "ran").exists()


def test_no_test_behind_the_boundary_can_write_what_git_is_told_to_run(
    repository: Repository,
) -> None:
    of_revisions = choose_sandbox(RunOptions(suites=("test_it.py",), revs=("HEAD",)), None)
    assert repository.path / ".git" in of_revisions.protected
    of_the_folder = choose_sandbox(RunOptions(suites=("test_it.py",)), None)
    assert repository.path / ".git" not in of_the_folder.protected, "a person's own tests may"


EVIL = '[core]\nrepositoryformatversion = 0\n[filter "x"]\nclean = touch {mark}; cat\n'


def test_a_worktree_in_which_a_test_made_another_repository_has_git_run_nothing(
    repository: Repository, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    repository.git("commit", "--quiet", "--message", "a submodule")
    (revision,) = resolve(("HEAD",), (), ())
    with hold_worktrees((revision,)):
        tree = locate_worktree(revision)
        for place in (tree, tree / "sub"):
            if (place / ".git").exists():
                (place / ".git").unlink()
            place.mkdir(exist_ok=True)
            Repository(place)
            (place / ".git/config").write_text(EVIL.format(mark=mark))
            (place / ".gitattributes").write_text("* filter=x\n")
        (tree / ".gitignore").write_text("changed\n")
        assert ".gitignore" in list_changed_files(revision)
    assert not mark.exists() and repository.worktrees() == []


def test_large_files_stay_pointers_and_that_is_said(repository: Repository, tmp_path: Path) -> None:
    repository.git("config", "filter.lfs.smudge", f"touch {tmp_path}/ran; cat")
    repository.git("config", "filter.lfs.clean", "cat")
    repository.git("config", "filter.lfs.required", "true")
    repository.commit({".gitattributes": "*.bin filter=lfs\n", "model.bin": "pointer\n"})
    (revision,) = resolve(("HEAD",), (), ())
    assert any("pointers" in note for note in revision.notes)
    with hold_worktrees((revision,)):
        assert (locate_worktree(revision) / "model.bin").read_text() == "pointer\n"
    assert not (tmp_path / "ran").exists()


def test_pytest_looks_no_higher_than_the_worktrees(revisions: tuple[Revision, ...]) -> None:
    with hold_worktrees(revisions):
        assert (find_worktrees_folder() / "pytest.ini").read_text() == "[pytest]\n"


def test_without_revisions_nothing_is_made(repository: Repository) -> None:
    assert repository.path == Path.cwd()
    with hold_worktrees(()):
        assert not find_worktrees_folder().exists()
