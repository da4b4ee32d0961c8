"""Recipes: each one is a configuration that can be read and planned, and the script really runs."""

import csv
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from harness.driver.configuration.read import read_configuration
from harness.driver.configuration.suites import choose_suites
from harness.driver.options import RunOptions
from harness.driver.planning import make_plan
from tests.cli.conftest import COMMAND, clean_environ
from tests.docs.pages import PROJECT

RECIPES = sorted((PROJECT / "docs/recipes").glob("*/harness.toml"))


def make_targets(folder: Path) -> None:
    """Make what the recipe expects of the project: files and an interpreter."""
    for suite in read_configuration(folder).suites.values():
        target = suite.unittest or suite.pytest
        if isinstance(target, str):
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("") if path.suffix else path.mkdir()
        if suite.venv:
            python = folder / suite.venv / "bin/python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.write_text("#!/bin/sh\n")
            python.chmod(python.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.parent.name)
def test_a_recipe_can_be_read_and_planned(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(recipe.parent, tmp_path, dirs_exist_ok=True)
    make_targets(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, suite in read_configuration().suites.items():
        options = choose_suites(RunOptions(suites=(name,), repeats=2))
        plan = make_plan(options, "cpu", 2, seed=1, in_ci=False)
        values = [len(axis) for axis in suite.axes.values()]
        assert len(plan.runnable) == (values[0] if values else 1)
        assert all(planned.refused is None for planned in plan.cells)


def test_every_recipe_has_its_row() -> None:
    page = (PROJECT / "docs/recipes/index.md").read_text()
    assert [r for r in RECIPES if f"({r.parent.name}/harness.toml)" not in page] == []


def test_the_script_fails_with_several_threads_alone(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "docs/recipes/shell", tmp_path, dirs_exist_ok=True)
    done = subprocess.run(
        [*COMMAND, "run", "script", "--repeats", "6", "--seed", "3", "--csv", "rows"],
        cwd=tmp_path, env=clean_environ(), capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode in (1, 3), done.stdout + done.stderr
    with (tmp_path / "rows/attempts.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    failed = [row for row in rows if row["status"] == "failed"]
    assert failed and all(int(row["seed"]) % 2 for row in failed)
    assert len(rows) == 12
