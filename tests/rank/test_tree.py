"""A rank of a revision imports the revision, wherever the interpreter would find the checkout."""

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from harness.rank import tree as rank_tree


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A checkout, and a worktree of it that lacks the folder `old`."""
    checkout, tree = tmp_path / "checkout", tmp_path / "checkout/.harness/worktrees/abc"
    for folder in (checkout / "python", checkout / "old", tree / "python", tree / "src"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(tree)
    monkeypatch.setattr(sys, "path", ["/usr/lib/python"])
    return {"HARNESS_TREE": str(tree), "HARNESS_CHECKOUT": str(checkout)}


def test_the_tree_and_its_src_come_first(environ: dict[str, str]) -> None:
    rank_tree.settle(environ)
    tree = environ["HARNESS_TREE"]
    assert sys.path == [tree, f"{tree}/src", "/usr/lib/python"]
    assert environ["PYTHONPATH"].split(os.pathsep) == [tree, f"{tree}/src"]


def test_what_an_editable_install_names_is_the_trees_own(environ: dict[str, str]) -> None:
    checkout, tree = environ["HARNESS_CHECKOUT"], environ["HARNESS_TREE"]
    sys.path += [f"{checkout}/python", checkout]
    environ["PYTHONPATH"] = f"{checkout}/python:/elsewhere"
    rank_tree.settle(environ)
    assert sys.path == [tree, f"{tree}/src", "/usr/lib/python", f"{tree}/python"]
    assert environ["PYTHONPATH"].split(os.pathsep)[2:] == [f"{tree}/python", "/elsewhere"]


def test_what_the_tree_lacks_stays_and_is_told(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = environ["HARNESS_CHECKOUT"]
    sys.path.append(f"{checkout}/old")
    rank_tree.settle(environ)
    assert sys.path[-1] == f"{checkout}/old"
    module = ModuleType("stray.inner")
    module.__file__ = f"{checkout}/old/stray/inner.py"
    mine = ModuleType("mine")
    mine.__file__ = f"{environ['HARNESS_TREE']}/mine.py"
    monkeypatch.setitem(sys.modules, "stray.inner", module)
    monkeypatch.setitem(sys.modules, "mine", mine)
    assert rank_tree.strays(environ) == ["stray"]


def test_an_environment_inside_the_checkout_is_not_of_it(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = environ["HARNESS_CHECKOUT"]
    monkeypatch.setattr(sys, "prefix", f"{checkout}/venv")
    module = ModuleType("installed")
    module.__file__ = f"{checkout}/venv/lib/installed.py"
    monkeypatch.setitem(sys.modules, "installed", module)
    assert rank_tree.strays(environ) == []


def test_without_a_revision_nothing_changes() -> None:
    before = list(sys.path)
    environ: dict[str, str] = {}
    rank_tree.settle(environ)
    assert (sys.path, environ, rank_tree.strays(environ)) == (before, {}, [])
    assert rank_tree.pytest_arguments(environ) == []
