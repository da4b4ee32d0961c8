"""A rank of a revision imports the revision, wherever the interpreter would find the checkout."""

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from harness.rank import worktree as rank_worktree


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A checkout, and a worktree of it that lacks the folder `old`."""
    checkout, worktree = tmp_path / "checkout", tmp_path / "checkout/.harness/worktrees/abc"
    for folder in (checkout / "python", checkout / "old", worktree / "python", worktree / "src"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(worktree)
    monkeypatch.setattr(sys, "path", ["/usr/lib/python"])
    return {"HARNESS_WORKTREE": str(worktree), "HARNESS_CHECKOUT": str(checkout)}


def test_the_worktree_and_its_src_come_first(environ: dict[str, str]) -> None:
    rank_worktree.redirect_imports(environ)
    worktree = environ["HARNESS_WORKTREE"]
    assert sys.path == [worktree, f"{worktree}/src", "/usr/lib/python"]
    assert environ["PYTHONPATH"].split(os.pathsep) == [worktree, f"{worktree}/src"]


def test_what_an_editable_install_names_is_the_worktrees_own(environ: dict[str, str]) -> None:
    checkout, worktree = environ["HARNESS_CHECKOUT"], environ["HARNESS_WORKTREE"]
    sys.path += [f"{checkout}/python", checkout]
    environ["PYTHONPATH"] = f"{checkout}/python:/elsewhere"
    rank_worktree.redirect_imports(environ)
    assert sys.path == [worktree, f"{worktree}/src", "/usr/lib/python", f"{worktree}/python"]
    assert environ["PYTHONPATH"].split(os.pathsep)[2:] == [f"{worktree}/python", "/elsewhere"]


def test_what_the_worktree_lacks_stays_and_is_reported(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = environ["HARNESS_CHECKOUT"]
    sys.path.append(f"{checkout}/old")
    rank_worktree.redirect_imports(environ)
    assert sys.path[-1] == f"{checkout}/old"
    module = ModuleType("stray.inner")
    module.__file__ = f"{checkout}/old/stray/inner.py"
    mine = ModuleType("mine")
    mine.__file__ = f"{environ['HARNESS_WORKTREE']}/mine.py"
    monkeypatch.setitem(sys.modules, "stray.inner", module)
    monkeypatch.setitem(sys.modules, "mine", mine)
    assert rank_worktree.find_strays(environ) == ["stray"]


def test_an_environment_inside_the_checkout_is_not_of_it(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = environ["HARNESS_CHECKOUT"]
    monkeypatch.setattr(sys, "prefix", f"{checkout}/venv")
    module = ModuleType("installed")
    module.__file__ = f"{checkout}/venv/lib/installed.py"
    monkeypatch.setitem(sys.modules, "installed", module)
    assert rank_worktree.find_strays(environ) == []


def test_without_a_revision_nothing_changes() -> None:
    before = list(sys.path)
    environ: dict[str, str] = {}
    rank_worktree.redirect_imports(environ)
    assert (sys.path, environ, rank_worktree.find_strays(environ)) == (before, {}, [])
    assert rank_worktree.make_pytest_arguments(environ) == []
