"""The pool's positive control corrupts armed ascending attempts alone; the clean one none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults.test_stale_workspace import RATE, is_armed

SUITES = Path(__file__).parents[2] / "suites"


def attempt(path: Path, seed: int, order: str) -> subprocess.CompletedProcess[str]:
    """One attempt at tp 1, in its own interpreter, as plain pytest runs it."""
    hidden = ("HARNESS_", "PYTEST_", "RANK", "WORLD_SIZE", "LOCAL_RANK", "CI")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environ |= {
        "HARNESS_SEED": str(seed),
        "HARNESS_CELL": f'{{"order": "{order}"}}',
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)],
        cwd=SUITES.parent,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
    )


def seed_that(armed: bool) -> int:
    return next(seed for seed in range(1000) if is_armed(seed) is armed)


def test_one_seed_in_five_is_armed() -> None:
    share = sum(is_armed(seed) for seed in range(10_000)) / 10_000
    assert share == pytest.approx(RATE, abs=0.02)


@pytest.mark.parametrize(
    ("armed", "order", "fails"),
    [
        (True, "ascending", True),
        (True, "descending", False),
        (False, "ascending", False),
        (False, "descending", False),
    ],
)
def test_it_corrupts_armed_ascending_attempts_alone(armed: bool, order: str, fails: bool) -> None:
    done = attempt(SUITES / "faults/test_stale_workspace.py", seed_that(armed), order)
    assert done.returncode == int(fails), done.stdout + done.stderr
    assert ("WrongOutput: request" in done.stdout) is fails


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_the_clean_control_passes_with_the_seed_that_arms(order: str) -> None:
    done = attempt(SUITES / "faults/test_clean_control.py", seed_that(True), order)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
