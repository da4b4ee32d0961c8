"""Attempts on the suites of tests/outcomes: real processes, nothing preloaded but pytest."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec, Isolation
from harness.attempt.supervise import Supervisor

OUTCOMES = Path(__file__).parent.parent / "outcomes"

Run = Callable[..., AttemptRecord]


@pytest.fixture(scope="session")
def supervisors() -> Iterator[dict[Isolation, Supervisor]]:
    made: dict[Isolation, Supervisor] = {
        mode: Supervisor(
            SupervisorSettings(
                python=sys.executable, isolation=mode, cwd=OUTCOMES, preload=("pytest",)
            )
        )
        for mode in ("fork", "spawn")
    }
    yield made
    for supervisor in made.values():
        supervisor.close()


@pytest.fixture
def make_spec(tmp_path: Path) -> Callable[..., AttemptSpec]:
    def make(*nodeids: str, isolation: Isolation = "fork", **changes: Any) -> AttemptSpec:
        given: dict[str, Any] = {
            "run_id": "r1",
            "attempt_id": f"{tmp_path.name}-a1",
            "nodeids": nodeids,
            "folder": tmp_path / "attempt",
            "python": sys.executable,
            "cwd": OUTCOMES,
            "timeout_s": 30.0,
            "grace_s": 1.0,
            "isolation": isolation,
        }
        return AttemptSpec(**{**given, **changes})

    return make


@pytest.fixture(params=["fork", "spawn"])
def isolation(request: pytest.FixtureRequest) -> Isolation:
    mode: Isolation = request.param
    return mode


@pytest.fixture
def run(
    supervisors: dict[Isolation, Supervisor], make_spec: Callable[..., AttemptSpec]
) -> Callable[..., AttemptRecord]:
    def run_one(*nodeids: str, isolation: Isolation = "fork", **changes: Any) -> AttemptRecord:
        spec = make_spec(*nodeids, isolation=isolation, **changes)
        return supervisors[isolation].run(spec, lambda *_: None)

    return run_one
