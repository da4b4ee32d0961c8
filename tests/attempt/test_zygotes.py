"""Zygotes: one per start-up environment, and never forked if a fork would not be safe."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.attempt.start_up import make_start_up
from harness.attempt.supervise import Supervisor
from harness.attempt.zygotes import MOST_ZYGOTES

LEAN = {"PYTEST_ADDOPTS": "-p no:hypothesispytest"}
READS_AT_IMPORT = "import os\nMODE = os.environ.get('MODE', 'none')\n"
SHOWS_MODE = """
import reads_at_import

def test_mode():
    assert reads_at_import.MODE == "fast"
"""

THREADED = """
import threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
"""
CUDA = """
import sys, types
torch = types.ModuleType("torch")
torch.cuda = types.SimpleNamespace(is_initialized=lambda: True)
sys.modules["torch"] = torch
"""


class Runner:
    """Makes forked attempts of suites in one folder."""

    def __init__(self, folder: Path, make_spec: Callable[..., AttemptSpec]) -> None:
        self._folder = folder
        self._make_spec = make_spec
        self._supervisors: list[Supervisor] = []

    def open(self, *preload: str, **settings: Any) -> Callable[..., AttemptRecord]:
        supervisor = Supervisor(
            SupervisorSettings(
                python=sys.executable,
                isolation="fork",
                cwd=self._folder,
                preload=("pytest", *preload),
                **settings,
            )
        )
        self._supervisors.append(supervisor)

        def run(suite: str, seed: int = 0, **env: str) -> AttemptRecord:
            spec = self._make_spec(suite, cwd=self._folder, env={**LEAN, **env}, seed=seed)
            return supervisor.run(spec, lambda *_: None)

        return run

    def close(self) -> None:
        for supervisor in self._supervisors:
            supervisor.close()


@pytest.fixture
def runner(tmp_path: Path, make_spec: Callable[..., AttemptSpec]) -> Iterator[Runner]:
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "reads_at_import.py").write_text(READS_AT_IMPORT)
    (folder / "test_mode.py").write_text(SHOWS_MODE)
    (folder / "test_passes.py").write_text("def test_passes():\n    pass\n")
    made = Runner(folder, make_spec)
    yield made
    made.close()


def write_module(runner: Runner, text: str) -> None:
    (runner._folder / "preloaded.py").write_text(text)


def failed(record: AttemptRecord) -> bool:
    assert record.error is None
    return record.exits[0].code == 1


def test_an_axis_read_only_at_import_changes_the_result_under_fork(runner: Runner) -> None:
    run = runner.open("reads_at_import")
    outcomes = [run("test_mode.py", MODE=mode) for mode in ("fast", "slow", "fast", "slow")]
    assert [failed(record) for record in outcomes] == [False, True, False, True]
    assert all(record.isolation == "fork" for record in outcomes)
    assert len({record.keeper_id for record in outcomes}) == 2


def test_attempts_that_differ_in_seed_and_ports_alone_share_a_zygote(runner: Runner) -> None:
    run = runner.open()
    records = [run("test_passes.py", seed) for seed in range(MOST_ZYGOTES + 1)]
    assert [record.isolation for record in records] == ["fork"] * (MOST_ZYGOTES + 1)
    assert len({record.keeper_id for record in records}) == 1


def test_more_environments_than_zygotes_are_spawned_and_say_so(runner: Runner) -> None:
    run = runner.open("reads_at_import")
    records = [run("test_mode.py", MODE=f"m{n}") for n in range(MOST_ZYGOTES + 1)]
    assert [record.isolation for record in records] == ["fork"] * MOST_ZYGOTES + ["spawn"]
    assert [bool(record.notes) for record in records] == [False] * MOST_ZYGOTES + [True]


@pytest.mark.parametrize(
    ("module", "why"), [(THREADED, "2 threads"), (CUDA, "torch has initialised CUDA")]
)
def test_a_zygote_that_must_not_be_forked_spawns_and_says_why(
    runner: Runner, module: str, why: str
) -> None:
    write_module(runner, module)
    run = runner.open("preloaded")
    for _ in range(2):
        record = run("test_passes.py")
        assert not failed(record) and record.isolation == "spawn"
        assert why in record.notes[0]


def test_one_attempt_per_zygote_gives_each_its_own_hash_seed(runner: Runner) -> None:
    run = runner.open(attempts_per_zygote=1, zygotes_ahead=2)
    records = [run("test_passes.py") for _ in range(4)]
    assert not any(failed(record) for record in records)
    assert len({record.hash_seed for record in records}) == 4
    assert len({record.keeper_id for record in records}) == 4


def test_a_zygote_sees_the_one_gpu_that_its_ranks_will_see(make_spec: Callable[..., Any]) -> None:
    settings = SupervisorSettings(
        python="python", isolation="fork", environment={"CUDA_VISIBLE_DEVICES": "0,1"}
    )
    start_up = make_start_up(settings.limit_to_gpu("GPU-a"), make_spec("passes.py"))
    assert dict(start_up.environment)["CUDA_VISIBLE_DEVICES"] == "GPU-a"
