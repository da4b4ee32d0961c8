"""Suites of published packages, unchanged: tests end under `harness run` as under pytest alone.

They come with the packages that this project's environment holds anyway, so nothing is downloaded.
"""

import csv
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

HARNESS = [sys.executable, "-c", "from harness.cli.main import main; main()"]
#: Package, file and isolation. Some of sympy's tests fail, since its conftest is not beside them.
SUITES = [
    ("networkx", "algorithms/tests/test_core.py", "fork"),
    ("networkx", "algorithms/tests/test_core.py", "spawn"),
    ("numpy", "lib/tests/test_arraysetops.py", "fork"),
    ("scipy", "constants/tests/test_codata.py", "spawn"),
    ("sympy", "sets/tests/test_contains.py", "spawn"),
]
#: Of two suites, a test that is made to fail.
FLAKY_TESTS = [(SUITES[0], "test_core_number"), (SUITES[3], "test_find")]
ONE_CELL = ("--device", "cpu", "--tp", "1", "--order", "descending", "--backend", "torch_native")
#: Makes one test fail in the attempts whose seed is odd, as a flaky test would.
FLAKY = """
import os
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if item.name == "@TEST@" and int(os.environ["HARNESS_SEED"]) % 2:
        pytest.fail("the seed is odd")
    return (yield)
"""


@dataclass(frozen=True)
class Project:
    """A folder with one suite in it."""

    folder: Path
    suite: str

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        hidden = ("CI", "HARNESS_", "RAY_", "PYTEST_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        return subprocess.run(
            command, cwd=self.folder, env=kept, capture_output=True, text=True, timeout=110
        )

    def measure(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run(*HARNESS, "run", self.suite, *ONE_CELL, "--csv", "rows", *options)

    def read_rows(self, table: str) -> list[dict[str, str]]:
        with (self.folder / "rows" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def make_project(folder: Path, package: str, suite: str) -> Project:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    shutil.copy(Path(spec.origin).parent / suite, folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return Project(folder, Path(suite).name)


def count_outcomes_of_pytest(project: Project) -> Counter[str]:
    """Return how many tests ended how under pytest alone."""
    command = (sys.executable, "-m", "pytest", "-q", "--junitxml=plain.xml", project.suite)
    done = project.run(*command)
    assert done.returncode in (0, 1), done.stdout
    return Counter(
        map(read_outcome, ElementTree.parse(project.folder / "plain.xml").iter("testcase"))
    )


def read_outcome(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


@pytest.mark.parametrize(("package", "suite", "isolation"), SUITES)
def test_each_test_ends_as_under_pytest_alone(
    package: str, suite: str, isolation: str, tmp_path: Path
) -> None:
    project = make_project(tmp_path, package, suite)
    plain = count_outcomes_of_pytest(project)
    done = project.measure("--repeats", "2", "--isolation", isolation)
    assert done.returncode == (1 if plain["failed"] else 0), done.stdout + done.stderr
    rows = project.read_rows("outcomes")
    attempts = {row["attempt"] for row in rows}
    assert len(attempts) == 2
    for attempt in attempts:
        outcomes = Counter(row["outcome"] for row in rows if row["attempt"] == attempt)
        assert outcomes == plain


@pytest.mark.parametrize(("suite", "test"), FLAKY_TESTS)
def test_a_test_that_fails_with_some_seeds_fails_in_those_attempts(
    suite: tuple[str, str, str], test: str, tmp_path: Path
) -> None:
    project = make_project(tmp_path, *suite[:2])
    (tmp_path / "conftest.py").write_text(FLAKY.replace("@TEST@", test))
    done = project.measure("--repeats", "6", "--seed", "5", "--isolation", "fork")
    attempts = project.read_rows("attempts")
    odd = {row["attempt"] for row in attempts if int(row["seed"]) % 2}
    assert done.returncode == 1, done.stdout + done.stderr
    assert 0 < len(odd) < len(attempts) == 6
    assert {row["attempt"] for row in attempts if row["status"] == "failed"} == odd
    failed = [row for row in project.read_rows("outcomes") if row["outcome"] == "failed"]
    assert {row["attempt"] for row in failed} == odd
    assert all(row["test"].endswith(f"::{test}") for row in failed)
