"""Compiler caches: shared between a cell's attempts, or fresh, and never infected by a failure."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec, Isolation
from harness.attempt.supervise import Supervisor

COMPILES = """
import os
from pathlib import Path

def test_compiles():
    folder = Path(os.environ["TRITON_CACHE_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    kernel = folder / os.environ.get("KERNEL", "kernel")
    found = kernel.exists()
    kernel.write_text("compiled") if not found else None
    os.write(int(os.environ["HARNESS_LOG_FD"]), f"FOUND={found}\\n".encode())
    assert "FAIL" not in os.environ
"""

Run = Callable[..., AttemptRecord]


@pytest.fixture
def run(
    tmp_path: Path, make_spec: Callable[..., AttemptSpec], isolation: Isolation
) -> Iterator[Run]:
    (tmp_path / "test_compiles.py").write_text(COMPILES)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:hypothesispytest\n")
    settings = SupervisorSettings(python=sys.executable, isolation=isolation, preload=("pytest",))
    supervisor = Supervisor(settings)

    def run_one(**changes: object) -> AttemptRecord:
        spec = make_spec("test_compiles.py", cwd=tmp_path, isolation=isolation, **changes)
        return supervisor.run(spec, lambda *_: None)

    yield run_one
    supervisor.close()


def has_found(record: AttemptRecord) -> bool:
    assert "FOUND=" in record.log_tails[0], record.log_tails
    return "FOUND=True" in record.log_tails[0]


def test_shared_caches_are_cold_once_and_each_attempt_says_what_it_compiled(run: Run) -> None:
    records = [run() for _ in range(2)]
    assert [has_found(record) for record in records] == [False, True]
    assert [record.compiled for record in records] == [1, 0]


def test_fresh_caches_are_cold_each_time(run: Run) -> None:
    records = [run(caches="fresh") for _ in range(2)]
    assert [has_found(record) for record in records] == [False, False]
    assert [record.compiled for record in records] == [1, 1]


def test_the_users_own_caches_are_what_the_environment_says(run: Run, tmp_path: Path) -> None:
    mine = {"TRITON_CACHE_DIR": str(tmp_path / "mine")}
    records = [run(caches="user", env=mine) for _ in range(2)]
    assert [has_found(record) for record in records] == [False, True]
    assert [record.compiled for record in records] == [None, None]


def test_what_a_failed_attempt_compiled_is_removed_and_nothing_else(run: Run) -> None:
    run(env={"FAIL": "1"})
    assert not has_found(run(env={"FAIL": "1"})), "the first one's kernel may be what failed"


def test_cells_and_revisions_do_not_see_each_others_caches(run: Run) -> None:
    run()
    assert not has_found(run(env={"HARNESS_WORKTREE": ""}))
    assert has_found(run())
