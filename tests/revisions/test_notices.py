"""What a comparison must be read with, from the two commits alone."""

import pytest

from harness.driver.revisions.resolve import resolve
from tests.revisions.conftest import Repository


@pytest.fixture(autouse=True)
def inside(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository.path)


def notes(repository: Repository, *pythons: str, **changed: str) -> str:
    """The head's notes after a commit that changes these files (`__` stands for a slash)."""
    names = {name.replace("__", "/").replace("_DOT_", "."): text for name, text in changed.items()}
    repository.commit(dict(names))
    _, head = resolve(("HEAD~1", "HEAD"), pythons, ("tests/test_it.py",))
    return "\n".join(head.notes)


def test_code_alone_needs_no_notice(repository: Repository) -> None:
    assert notes(repository, pkg__code_DOT_py="1") == ""


def test_a_changed_suite_is_named(repository: Repository) -> None:
    assert "tests/test_it.py: test and code" in notes(repository, tests__test_it_DOT_py="1")


def test_changed_configuration_is_named(repository: Repository) -> None:
    told = notes(repository, sub__conftest_DOT_py="1", tox_DOT_ini="")
    assert "sub/conftest.py and 1 more: what pytest runs may differ" in told


@pytest.mark.parametrize("toml", ["[project]\ndependencies = ['a']\n", "not toml", "project = 1\n"])
def test_changed_dependencies_share_the_packages(repository: Repository, toml: str) -> None:
    told = notes(repository, pyproject_DOT_toml=toml)
    assert "dependencies in pyproject.toml: both run with the same installed packages" in told


def test_requirements_files_count_as_dependencies(repository: Repository) -> None:
    assert "ci/requirements-dev.txt: both run" in notes(
        repository, **{"ci__requirements-dev_DOT_txt": "a"}
    )


def test_an_interpreter_each_is_the_answer_to_both(repository: Repository) -> None:
    told = notes(repository, "/bin/sh", "/bin/ls", requirements_DOT_txt="a", csrc__k_DOT_cu="")
    assert told == ""


def test_changes_to_the_measuring_side_are_not_in_effect(repository: Repository) -> None:
    told = notes(repository, harness__rank__plugin_DOT_py="", harness__engine__kv_DOT_py="")
    assert told == "not in effect: harness/rank/plugin.py: the running harness measures"


def test_a_submodule_is_said_not_to_be_there(repository: Repository) -> None:
    sha = repository.git("rev-parse", "HEAD")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{sha},third/party")
    repository.git("commit", "--quiet", "--message", "a submodule")
    (head,) = resolve(("HEAD",), (), ())
    assert head.notes == ("not in the worktree: submodule third/party",)
