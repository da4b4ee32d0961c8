"""The pool's positive control corrupts armed ascending attempts alone; the clean one none.

The audit finds the one and nothing in the others, before a replay; amplifiers leave the clean one.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faults.test_stale_workspace import RATE, is_armed

SUITES = Path(__file__).parents[2] / "suites"
START = SUITES.parent / "harness" / "hook" / "start"


def attempt(
    path: Path, seed: int, order: str, folder: Path, hook: str
) -> subprocess.CompletedProcess[str]:
    """One attempt at tp 1, in its own interpreter, as plain pytest runs it under the hook."""
    hidden = ("HARNESS_", "PYTEST_", "RANK", "WORLD_SIZE", "LOCAL_RANK", "CI")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environ |= {
        "HARNESS_SEED": str(seed),
        "HARNESS_CELL": f'{{"order": "{order}"}}',
        "OMP_NUM_THREADS": "1",
        "HARNESS_HOOK": hook,
        "HARNESS_HOOK_FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(START), environ.get("PYTHONPATH")))),
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)],
        cwd=SUITES.parent,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
    )


def list_events(folder: Path, name: str) -> list[dict[str, Any]]:
    texts = [file.read_text() for file in folder.iterdir()]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    return [line for line in lines if line["event"] == f"hook_{name}"]


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
def test_it_corrupts_armed_ascending_attempts_alone_and_the_audit_finds_it(
    armed: bool, order: str, fails: bool, tmp_path: Path
) -> None:
    path = SUITES / "faults/test_stale_workspace.py"
    done = attempt(path, seed_that(armed), order, tmp_path, "audit")
    assert done.returncode == int(fails), done.stdout + done.stderr
    assert ("WrongOutput: request" in done.stdout) is fails
    found = {(one["fault"], one["kernel"]) for one in list_events(tmp_path, "audit")}
    assert found == ({("dangling", "aten.clamp.default")} if fails else set())
    assert len(list_events(tmp_path, "audited")) == 9
    assert list_events(tmp_path, "error") == []


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_the_clean_control_passes_with_the_seed_that_arms_and_amplified(
    order: str, tmp_path: Path
) -> None:
    hook = "audit,amplify:poison+canary+jitter+align"
    done = attempt(SUITES / "faults/test_clean_control.py", seed_that(True), order, tmp_path, hook)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list_events(tmp_path, "audit") + list_events(tmp_path, "error") == []
    assert "1 passed" in done.stdout
