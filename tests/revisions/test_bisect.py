"""`harness bisect` over a small real history with a seeded flaky commit."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.cell import Cell
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.core.statuses import AttemptStatus
from harness.driver.commands.bisect import Bisection, list_commits
from harness.stats.culprit import Tally
from tests.driver.test_compare import row
from tests.revisions.conftest import PROJECT, Repository

CELL = Cell((("order", "ascending"),))
STEADY = "def test_it():\n    assert True\n"
FLAKY = "import os\n\ndef test_it():\n    assert int(os.environ['HARNESS_SEED']) % 2, 'a flake'\n"
BROKEN = "import nothing_of_this_name\n\ndef test_it():\n    pass\n"
TIMEOUT_S = 400


def test_a_step_counts_valid_attempts_and_skips_a_commit_that_cannot_start() -> None:
    bisection = Bisection(["a", "b", "c"], "key")
    lost = replace(row(9, CELL, failed=False), status=AttemptStatus.INFRA)
    bisection.add("b", [row(0, CELL, failed=True), row(1, CELL, failed=False), lost])
    bisection.add("b", [row(2, CELL, failed=False)])
    assert bisection.tallies[1] == Tally(1, 2)
    broken = replace(row(3, CELL, failed=True), phase="setup", kind="error")
    bisection.add("c", [broken, lost])
    assert bisection.skipped == {2}
    assert bisection.spent == 3
    bisection.add("a", [])
    assert bisection.skipped == {0, 2}


def test_the_ends_must_be_one_history(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.path)
    old = repository.git("rev-parse", "HEAD")
    new = repository.commit({"a.txt": "a"})
    assert list_commits(old, new) == [old, new]
    with pytest.raises(UsageError, match="no ancestor"):
        list_commits(new, old)


@pytest.mark.timeout(TIMEOUT_S)
def test_the_flaky_commit_is_found_and_the_search_is_not_begun_anew(
    repository: Repository,
) -> None:
    good = repository.commit({"test_it.py": STEADY})
    repository.commit({"test_it.py": BROKEN})
    repository.commit({"test_it.py": STEADY, "note.txt": "1"})
    culprit = repository.commit({"test_it.py": FLAKY})
    bad = repository.commit({"note.txt": "2"})
    done = search(repository.path, good, bad)
    assert done.returncode == ExitCode.OK, done.stderr
    assert f"the rate rose with {culprit[:12]}" in done.stdout
    again = search(repository.path, good, bad)
    assert again.returncode == ExitCode.OK
    assert ", 0 attempts known" not in again.stdout
    assert repository.worktrees() == []


def search(folder: Path, good: str, bad: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from harness.cli.main import main; sys.argv[0] = 'harness'; main()"
    arguments = [
        "bisect",
        "--good",
        good,
        "--bad",
        bad,
        "--device",
        "cpu",
        "--step",
        "6",
        "test_it.py",
    ]
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
