"""From `--rev` to commits: once, and refused with what to do where it cannot be meant."""

import subprocess
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.core.revision import Revision, revision_from_dict, revision_to_dict
from harness.driver.options import RunOptions
from harness.driver.revisions.resolve import localise, resolve
from tests.revisions.conftest import Repository


@pytest.fixture(autouse=True)
def inside(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository.path)


def shas(*texts: str) -> list[str]:
    return [revision.sha for revision in resolve(texts, (), ())]


def test_branches_tags_and_prefixes_become_full_commits(repository: Repository) -> None:
    first = repository.commit({"a": "1"})
    repository.git("tag", "--annotate", "v1", "--message", "one")
    second = repository.commit({"a": "2"})
    assert shas("v1", "main") == [first, second]
    assert shas(first[:10], "HEAD") == [first, second]


def test_a_label_is_short_and_unambiguous(repository: Repository) -> None:
    repository.commit({"a": "1"})
    base, head = resolve(("HEAD~1", "HEAD"), (), ())
    assert (base.named, head.named) == ("HEAD~1", "HEAD")
    for revision in (base, head):
        assert len(revision.label) >= 8
        assert repository.git("rev-parse", revision.label) == revision.sha


def test_a_revision_is_stored_whole() -> None:
    revision = Revision("main", "a" * 40, "a" * 8, "/bin/python", "sub", ("a note",))
    assert revision_from_dict(revision_to_dict(revision)) == revision


@pytest.mark.parametrize("text", ["absent", "--all", "-h", "main..HEAD", "main^{tree}", ":/none"])
def test_what_is_no_commit_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no commit of this repository: `git fetch`"):
        shas("main", text)


def test_one_commit_under_two_names_is_refused() -> None:
    with pytest.raises(UsageError, match="stands twice"):
        shas("main", "HEAD")


def test_local_changes_are_refused_and_untracked_files_are_not(repository: Repository) -> None:
    repository.commit({"kept.py": "1"})
    repository.write({"new.py": "1"})
    assert shas("main")
    repository.write({"kept.py": "2"})
    with pytest.raises(UsageError, match=r"1 tracked files are changed here \(kept.py.*git stash"):
        shas("main")


def test_a_shallow_clone_without_the_commit_says_how_to_get_it(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = repository.git("rev-parse", "HEAD")
    repository.commit({"a": "1"})
    clone = ["git", "clone", "--quiet", "--depth=1", f"file://{repository.path}", "shallow"]
    subprocess.run(clone, cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path / "shallow")
    with pytest.raises(UsageError, match=r"shallow clone: `git fetch --unshallow`"):
        shas("HEAD", old)


def test_outside_a_repository_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"git repository it is started in: .*not a git repo"):
        shas("main")


def test_without_git_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs git"):
        shas("main")


def test_inside_a_hook_it_is_still_this_repository(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))
    assert shas("main") == [(repository.path / ".git/refs/heads/main").read_text().strip()]


def test_a_suite_is_named_as_every_worktree_has_it(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"sub/test_it.py": ""})
    assert localise(f"{repository.path}/sub/test_it.py::TestIt") == "sub/test_it.py::TestIt"
    monkeypatch.chdir(repository.path / "sub")
    assert localise("../sub/test_it.py") == "test_it.py"
    assert resolve(("main",), (), ())[0].folder == "sub"


@pytest.mark.parametrize("suite", ["../test_it.py", "/etc/passwd", "sub/../../test_it.py"])
def test_a_suite_outside_the_repository_is_refused(suite: str) -> None:
    with pytest.raises(UsageError, match="outside the repository"):
        localise(suite)


def test_an_interpreter_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="no such interpreter"):
        resolve(("main",), ("no/bin/python",), ())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"revs": ("main", "")}, "stray comma"),
        ({"revs": ("a", "b"), "rev_pythons": ("x",)}, "1 interpreters for 2"),
        ({"rev_pythons": ("x",)}, "1 interpreters for 0"),
        ({"revs": ("a",), "rev_pythons": ("x",), "isolation": "fork"}, "leave --isolation out"),
        ({"revs": ("a",), "address": "auto"}, "leave --address out"),
    ],
)
def test_options_that_do_not_go_together_are_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        RunOptions(**given)  # type: ignore[arg-type]


def test_a_suite_named_through_a_link_to_the_repository_is_inside_it(
    repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"test_it.py": ""})
    (tmp_path / "link").symlink_to(repository.path)
    assert localise(f"{tmp_path}/link/test_it.py") == "test_it.py"
