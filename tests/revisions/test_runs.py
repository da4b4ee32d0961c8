"""`harness run --rev` for real: one toy project whose second revision flakes."""

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.driver.messages import say_starting
from tests.revisions.conftest import Done, Repository, command, environ, run_harness

PACKAGE = "src/toy/__init__.py"
#: Half of the repeats fail, or none: whatever seeds the run draws.
SUITE = """
import os
import toy
def test_flakes():
    assert not toy.FLAKES or int(os.environ["HARNESS_REPEAT"]) % 2
"""
REMOVED = "def test_old(): assert False\n"
OPTIONS = ("--order", "ascending", "--tp", 1, "--slots", 2, "--seed", 5)

Call = Callable[..., Done]


def project(path: Path) -> tuple[Repository, str, str]:
    """A project in the `src` layout, its base and its head."""
    made = Repository(path)
    base = made.commit(
        {
            PACKAGE: "FLAKES = False\n",
            "tests/test_flakes.py": SUITE + REMOVED,
            "tests/test_gone.py": "def test_it(): pass\n",
            "tests/test_empty.py": "def test_it(): pass\n",
            "pyproject.toml": "[project]\nname = 'toy'\ndependencies = ['a']\n",
        }
    )
    head = made.commit(
        {
            PACKAGE: "FLAKES = True\n",
            "tests/test_flakes.py": SUITE,
            "tests/test_gone.py": None,
            "tests/test_empty.py": "",
            "tests/test_new.py": "def test_it(): pass\n",
            "pyproject.toml": "[project]\nname = 'toy'\ndependencies = ['a', 'b']\n",
            "csrc/kernel.cu": "",
        }
    )
    return made, base, head


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def toy(folder: Path) -> tuple[Repository, str, str]:
    return project(folder / "toy")


@pytest.fixture(scope="module")
def call(toy: tuple[Repository, str, str], folder: Path) -> Call:
    def call(*arguments: object, **more: str) -> Done:
        return run_harness(toy[0], folder / "bin", *arguments, **more)

    return call


@pytest.fixture(scope="module")
def measured(call: Call, toy: tuple[Repository, str, str]) -> Done:
    # An editable install of the checkout, as far as imports go: it must not win over the worktree.
    checkout = f"{environ()['PYTHONPATH']}{os.pathsep}{toy[0].path / 'src'}"
    return call(
        "run", "tests/test_flakes.py", "tests/test_gone.py", "tests/test_new.py",
        "--rev", "main~1,main", "--repeats", 2, *OPTIONS, PYTHONPATH=checkout,
    )  # fmt: skip


def labels(toy: tuple[Repository, str, str]) -> tuple[str, str]:
    return toy[1][:8], toy[2][:8]


def test_each_revision_is_measured_as_it_is(
    measured: Done, toy: tuple[Repository, str, str]
) -> None:
    base, head = (measured.cell("tests/test_flakes.py", label) for label in labels(toy))
    tests = {test["id"]: test for test in base["tests"]}
    assert (base["attempts"], head["attempts"], base["infra"], head["infra"]) == (2, 2, 0, 0)
    assert tests["tests/test_flakes.py::test_flakes"]["failed"] == 0
    assert tests["tests/test_flakes.py::test_old"]["failed"] == 2
    assert head["failed"] == 1


def test_run_json_names_each_commit(measured: Done, toy: tuple[Repository, str, str]) -> None:
    revisions = measured.run["run"]["revisions"]
    assert [one["sha"] for one in revisions] == list(toy[1:])
    assert [one["named"] for one in revisions] == ["main~1", "main"]
    assert [one["rev"] for one in revisions] == list(labels(toy))
    assert measured.run["run"]["sha"] is None


def test_the_contrast_speaks_of_head_and_base(
    measured: Done, toy: tuple[Repository, str, str]
) -> None:
    base, head = labels(toy)
    (contrast,) = (c for c in measured.run["contrasts"] if c["suite"] == "tests/test_flakes.py")
    assert (contrast["axis"], contrast["value"], contrast["reference"]) == ("rev", head, base)
    assert f"head {head}" in contrast["sentence"]
    assert f"base {base}" in contrast["sentence"]


def test_attempts_of_both_revisions_are_interleaved_in_blocks(
    measured: Done, toy: tuple[Repository, str, str]
) -> None:
    with sqlite3.connect(toy[0].store) as store:
        query = (
            "SELECT json_extract(cell, '$.rev'), repeat FROM attempt "
            "WHERE suite = 'tests/test_flakes.py' AND run_id = ? ORDER BY position"
        )
        rows = store.execute(query, [measured.run["run"]["id"]]).fetchall()
    store.close()
    assert len({tuple(rev for rev, n in rows if n == repeat) for repeat in range(2)}) == 2


def test_a_suite_that_a_revision_lacks_is_not_applicable_there(
    measured: Done, toy: tuple[Repository, str, str]
) -> None:
    base, head = labels(toy)
    refused = {(one["suite"], one["axes"]["rev"]): one["reason"] for one in measured.run["refused"]}
    assert "does not exist" in refused["tests/test_gone.py", head]
    assert "does not exist" in refused["tests/test_new.py", base]
    assert measured.cell("tests/test_new.py", head)["passed"] == 2


def test_a_head_without_the_suite_is_never_a_pass(
    measured: Done, toy: tuple[Repository, str, str]
) -> None:
    base, head = labels(toy)
    assert measured.code == 5
    assert measured.run["verdict"]["outcome"] == "cannot-say"
    assert any(
        sentence.startswith(f"cannot compare head {head} with base {base} on tests/test_gone.py")
        for sentence in measured.run["verdict"]["sentences"]
    )


def test_tests_that_one_revision_lacks_are_said(
    measured: Done, toy: tuple[Repository, str, str]
) -> None:
    base, head = labels(toy)
    told = f"head {head} never ran 1 of the tests that base {base} ran (tests/test_flakes.py::test_"
    assert told in measured.out


@pytest.mark.parametrize(
    "told",
    [
        "not as in the base: tests/test_flakes.py and 2 more: test and code are compared",
        "not as in the base: dependencies in pyproject.toml: both run with the same installed",
        "not as in the base: csrc/kernel.cu: nothing is built in a worktree",
        "all revisions run with the packages installed for",
    ],
)
def test_what_a_comparison_must_be_read_with_is_printed(measured: Done, told: str) -> None:
    assert told in measured.out
    assert told in measured.err


def test_no_worktree_is_left(measured: Done, toy: tuple[Repository, str, str]) -> None:
    assert measured.run
    assert toy[0].worktrees() == []
    assert toy[0].git("status", "--porcelain") == ""


def test_an_attempt_of_a_revision_can_be_made_again(
    call: Call, measured: Done, toy: tuple[Repository, str, str]
) -> None:
    with sqlite3.connect(toy[0].store) as store:
        query = (
            "SELECT id FROM attempt WHERE suite = 'tests/test_flakes.py' AND status = 'failed' "
            "AND run_id = ? AND json_extract(cell, '$.rev') = ?"
        )
        (attempt,) = store.execute(query, [measured.run["run"]["id"], toy[2][:8]]).fetchone()
    store.close()
    again = call("rerun", attempt)
    assert again.code == 1, again.err
    assert "now:  failed, assertion" in again.out
    assert toy[0].worktrees() == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--rev", "main,absent"], "--rev 'absent' is no commit of this repository"),
        (["--rev", "main", "--rev-python", "no/python"], "--rev-python no/python: no such"),
        (["--rev", "main~1,main", "--axis", "rev=a,b"], "unknown axis 'rev'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_worktree(
    call: Call, toy: tuple[Repository, str, str], options: list[str], told: str
) -> None:
    done = call("run", "tests/test_flakes.py", *options)
    assert done.code == 2
    (line,) = [line for line in done.err.splitlines() if line != say_starting(None)]
    assert told in line
    assert toy[0].worktrees() == []


def test_a_killed_run_resumes_at_the_same_commits_and_interpreters(tmp_path: Path) -> None:
    """And a head that collects nothing does not stop the base."""
    made, base, head = project(tmp_path / "toy")
    pythons = [wrapped_python(tmp_path / name / "bin/python") for name in ("one", "two")]
    options = ["tests/test_flakes.py", "tests/test_empty.py", "--rev", "main~1,main"]
    options += ["--repeats", "3", "--rev-python", ",".join(map(str, pythons))]
    process = subprocess.Popen(
        [*command(tmp_path / "bin"), "run", *options, *map(str, OPTIONS)],
        cwd=made.path,
        env=environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_attempts(made.store, 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(made.worktrees()) == 2
    moved = made.commit({PACKAGE: "FLAKES = None\n"})  # the branch moves on, the run does not
    done = run_harness(made, tmp_path / "bin", "run", "--resume", "latest")
    assert done.run["run"]["status"] == "complete", done.err
    assert [one["sha"] for one in done.run["run"]["revisions"]] == [base, head]
    assert done.cell("tests/test_flakes.py", head[:8])["attempts"] == 3
    assert done.cell("tests/test_empty.py", head[:8])["kinds"].keys() == {"no-tests"}
    assert done.cell("tests/test_empty.py", base[:8])["passed"] == 3
    assert moved[:8] not in {cell["axes"]["rev"] for cell in done.run["cells"]}
    assert made.worktrees() == []
    assert [one["python"] for one in done.run["run"]["revisions"]] == list(map(str, pythons))
    assert "all revisions run with the packages" not in done.out
    assert [python.with_name("used").exists() for python in pythons] == [True, True]


def wait_for_attempts(path: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists():
            try:
                with sqlite3.connect(path) as store:
                    if store.execute("SELECT count(*) FROM attempt").fetchone()[0] >= count:
                        return
            except sqlite3.OperationalError:
                continue  # not made yet
            finally:
                store.close()
        time.sleep(0.1)
    raise TimeoutError(f"no {count} attempts in {path}")


def wrapped_python(path: Path) -> Path:
    """An interpreter that can be told from the running one."""
    path.parent.mkdir(parents=True)
    real = command(path.parent)[0]
    path.write_text(f'#!/bin/sh\ntouch {path.parent}/used\nexec {real} "$@"\n')
    path.chmod(0o755)
    return path
