"""The shipped suites, run as pytest runs them: the default one, and the control with its fault."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITES = Path(__file__).parents[2] / "suites"


def outcome(suite: str, order: str, seed: int, **axes: str) -> tuple[int, str]:
    """(pytest's exit status, output) of one attempt at tp 1."""
    cell = json.dumps({"order": order, "backend": "torch_native", "tp": 1, **axes})
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HARNESS_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(SUITES / suite)],
        env={**kept, "HARNESS_CELL": cell, "HARNESS_SEED": str(seed), "HARNESS_DEVICE": "cpu"},
        capture_output=True,
        text=True,
        timeout=110,
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def seeds() -> dict[bool, int]:
    """One seed that arms the fault and one that does not."""
    sys.path.insert(0, str(SUITES))
    try:
        control = importlib.import_module("faults.test_stale_buffer")
    finally:
        sys.path.remove(str(SUITES))
    return {control.is_armed(seed): seed for seed in range(40)}


def test_the_default_suite_passes() -> None:
    status, out = outcome("test_eagle_infer_b.py", "ascending", 1)
    assert status == 0, out


def test_the_armed_fault_spoils_the_answers_in_ascending_order(seeds: dict[bool, int]) -> None:
    status, out = outcome("faults/test_stale_buffer.py", "ascending", seeds[True])
    assert status == 1
    assert "WrongOutput" in out


def test_the_armed_fault_is_silent_in_descending_order(seeds: dict[bool, int]) -> None:
    status, out = outcome("faults/test_stale_buffer.py", "descending", seeds[True])
    assert status == 0, out


def test_warming_up_all_shapes_first_tells_a_growing_buffer_from_its_order(
    seeds: dict[bool, int],
) -> None:
    phases = {"capture_phases": "two-phase"}
    status, out = outcome("faults/test_stale_buffer.py", "ascending", seeds[True], **phases)
    assert status == 0, out


def test_without_its_seed_the_fault_is_not_there(seeds: dict[bool, int]) -> None:
    status, out = outcome("faults/test_stale_buffer.py", "ascending", seeds[False])
    assert status == 0, out


def test_the_share_of_armed_seeds_is_the_stated_one(seeds: dict[bool, int]) -> None:
    assert set(seeds) == {True, False}
    control = sys.modules["faults.test_stale_buffer"]
    armed = sum(control.is_armed(seed) for seed in range(5000)) / 5000
    assert armed == pytest.approx(control.RATE, abs=0.02)
