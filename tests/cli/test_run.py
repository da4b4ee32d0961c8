"""`harness run` for real: real Ray, real processes, suites that misbehave, one run for all."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.report.run_schema import find_problems
from tests.cli.conftest import COMMAND, OUTCOMES, Done, clean_environ
from tests.cli.terminal import talk

CASES = {
    "passes.py": (0, {}),
    "fails.py": (2, {"error": 2}),
    "lies.py": (2, {"assertion": 2}),
    "subtests.py": (2, {"assertion": 2}),
    "reruns.py": (2, {"assertion": 2}),
    "class_setup.py": (2, {"setup-error": 2}),
    "dies.py::test_segfaults": (2, {"signal": 2}),
    "dies.py::test_leaves_with_success": (2, {"early-exit": 2}),
    "dies.py::test_prints_a_summary_and_leaves": (2, {"early-exit": 2}),
    "quits.py": (2, {"early-exit": 2}),
    "hangs.py::test_sleeps_and_ignores_sigterm": (2, {"hang": 2}),
    "leaves_child.py::test_leaves_a_child": (0, {}),
}


@pytest.fixture(scope="module")
def measured(harness: Callable[..., Done]) -> Done:
    suites = [OUTCOMES / name for name in CASES]
    return harness(
        "run", *suites, "--repeats", 2, "--order", "ascending", "--tp", 1, "--timeout", 8,
        "--seed", 5, json_file=True,
    )  # fmt: skip


def cell(done: Done, name: str) -> dict[str, Any]:
    return next(c for c in done.run["cells"] if c["suite"].endswith(name))


@pytest.mark.parametrize("name", CASES)
def test_each_outcome_has_its_kind_and_denominator(measured: Done, name: str) -> None:
    failed, kinds = CASES[name]
    found = cell(measured, name)
    assert (found["failed"], found["kinds"]) == (failed, kinds), measured.err
    assert found["attempts"] == 2
    assert found["infra"] == 0


def test_a_run_with_failures_exits_1_and_shows_intervals(measured: Done) -> None:
    assert measured.code == 1
    assert "100 % [16 %, 100 %]" in measured.out
    assert "[0 %, 84 %]" in measured.out


def test_the_json_is_the_contracts(measured: Done) -> None:
    assert measured.run["schema"] == "harness.run/1"
    run = measured.run["run"]
    assert (run["seed"], run["device"], run["status"]) == (5, "cpu", "complete")
    passing = cell(measured, "passes.py")
    assert passing["axes"] == {"order": "ascending", "tp": 1}
    assert passing["rate"] == 0
    assert passing["interval"]["method"] == "clopper-pearson"


def test_a_class_whose_set_up_failed_counts_once_and_precludes_its_tests(measured: Done) -> None:
    tests = {t["id"].rpartition("::")[2]: t for t in cell(measured, "class_setup.py")["tests"]}
    assert tests["test_one"]["precluded"] == 2
    assert tests["test_one"]["failed"] == 0
    assert tests["test_of_its_own_fixture"]["failed"] == 2


def test_reruns_are_failures_that_recovered(measured: Done) -> None:
    tests = {t["id"].rpartition("::")[2]: t for t in cell(measured, "reruns.py")["tests"]}
    assert (tests["test_fails_once"]["failed"], tests["test_fails_once"]["recovered"]) == (2, 2)


def test_a_child_that_left_its_session_is_reaped_and_said(measured: Done) -> None:
    notes = cell(measured, "leaves_child.py::test_leaves_a_child")["notes"]
    assert any("left behind and reaped: sleep" in note for note in notes)


def test_the_plan_says_what_zero_failures_would_prove(measured: Done) -> None:
    assert "0 failures in 2 would prove a rate below 78 %" in measured.err


def test_report_shows_the_same_table_from_the_store_alone(
    harness: Callable[..., Done], measured: Done
) -> None:
    shown = harness("report")
    assert (shown.code, shown.out) == (measured.code, measured.out)


def test_report_appends_itself_as_markdown(
    harness: Callable[..., Done], measured: Done, folder: Path
) -> None:
    shown = harness("report", "--markdown", "summary.md")
    text = (folder / "summary.md").read_text()
    assert shown.code == measured.code
    assert text.startswith("### Failed: 20 of 24 attempts failed\n")
    assert "| signal 2 |" in text
    nowhere = harness("report", "--markdown", "none/summary.md")
    assert nowhere.code == 2
    assert nowhere.err == "harness: --markdown none/summary.md: folder none does not exist\n"


def test_the_json_of_failing_suites_is_valid(measured: Done) -> None:
    assert find_problems(measured.run) == []


def test_runs_lists_it(harness: Callable[..., Done], measured: Done) -> None:
    assert measured.run["run"]["id"] in harness("runs").out


@pytest.mark.usefixtures("measured")
def test_rerun_makes_one_attempt_again_with_its_seed(
    harness: Callable[..., Done], folder: Path
) -> None:
    with sqlite3.connect(folder / ".harness/store.sqlite") as store:
        query = "SELECT id, seed FROM attempt WHERE suite LIKE '%fails.py'"
        attempt, seed = store.execute(query).fetchone()
    store.close()
    again = harness("rerun", attempt)
    assert again.code == 1
    assert f"{attempt}, seed {seed}" in again.out
    assert "now:  failed, error" in again.out


def test_show_prints_all_that_is_known_of_an_attempt(
    harness: Callable[..., Done], measured: Done, folder: Path
) -> None:
    with sqlite3.connect(folder / ".harness/store.sqlite") as store:
        query = "SELECT id FROM attempt WHERE suite LIKE '%test_segfaults'"
        (attempt,) = store.execute(query).fetchone()
    shown = harness("show", attempt)
    assert shown.code == 0, shown.err
    for fact in ("SIGSEGV in string_at", "2 attempts of 1 run", "environment.json", "rank0.log"):
        assert fact in shown.out
    files = folder / ".harness/runs" / measured.run["run"]["id"] / attempt / "evidence"
    listed = {item["name"] for item in json.loads((files / "index.json").read_text())["items"]}
    assert listed == {path.name for path in files.iterdir()} - {"index.json"}
    assert harness("show", "nothing").code == 2


@pytest.mark.parametrize(
    ("option", "typed", "seen"),
    [
        ("--pdb", [("(Pdb) ", "p by * 7 + 42\n"), ("\r\n42\r\n", "q\n")], "fails.py(5)divide()"),
        ("--shell", [("the tests:", "echo repeat=$HARNESS_REPEAT; exit 2\n")], "repeat=0"),
    ],
)
def test_a_person_gets_inside_an_attempt_at_a_terminal(
    measured: Done, folder: Path, option: str, typed: list[tuple[str, str]], seen: str
) -> None:
    with sqlite3.connect(folder / ".harness/store.sqlite") as store:
        before = store.execute("SELECT count(*) FROM attempt").fetchone()
        query = "SELECT id FROM attempt WHERE suite LIKE '%fails.py' AND repeat = 0"
        (attempt,) = store.execute(query).fetchone()
    files = set((folder / ".harness/runs" / measured.run["run"]["id"]).iterdir())
    code, shown = talk([*COMMAND, "rerun", attempt, option], typed, folder)
    assert code == 2 and seen in shown, shown
    assert set((folder / ".harness/runs" / measured.run["run"]["id"]).iterdir()) == files
    with sqlite3.connect(folder / ".harness/store.sqlite") as store:
        assert store.execute("SELECT count(*) FROM attempt").fetchone() == before


def test_without_a_terminal_nobody_gets_inside(harness: Callable[..., Done]) -> None:
    done = harness("rerun", "nothing", "--pdb")
    assert done.code == 2 and "terminal" in done.err
    assert harness("rerun", "nothing", "--pdb", "--shell").code == 2


def test_logs_events_and_trace_stay_in_the_attempts_folder(measured: Done, folder: Path) -> None:
    run = measured.run["run"]["id"]
    attempts = [folder / ".harness/runs" / run / f"{run}.{n}" for n in range(2 * len(CASES))]
    assert all(attempt.is_dir() for attempt in attempts)
    for name in ("rank0.log", "events.jsonl", "trace.json"):
        assert (attempts[0] / name).is_file()


def test_a_suite_that_collects_nothing_exits_4_after_one_attempt(
    harness: Callable[..., Done],
) -> None:
    done = harness(
        "run", OUTCOMES / "empty.py", "--repeats", 20, "--tp", 1, "--order", "gate", json_file=True
    )
    assert done.code == 4
    assert "collected no test" in done.out
    assert done.run["cells"][0]["attempts"] <= 2


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
        time.sleep(0.2)
    raise TimeoutError(f"no {count} attempts in {path}")


def test_a_killed_run_is_resumed_with_a_changed_suite_only_if_that_is_said(
    harness: Callable[..., Done], folder: Path
) -> None:
    suite = folder / "test_changing.py"
    suite.write_text((OUTCOMES / "flakes.py").read_text())
    options = ["--repeats", "12", "--order", "ascending", "--tp", "1", "--store", "kill.sqlite"]
    process = subprocess.Popen(
        [*COMMAND, "run", suite.name, *options, "--seed", "3"],
        cwd=folder,
        env=clean_environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_attempts(folder / "kill.sqlite", 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    suite.write_text(suite.read_text() + "# another version\n")
    resume = ("run", "--resume", "latest", "--store", "kill.sqlite")
    refused = harness(*resume)
    assert refused.code == 2 and "test_changing.py" in refused.err
    done = harness(*resume, "--allow-changed", json_file=True)
    assert done.run["run"]["status"] == "complete"
    (earlier,) = done.run["earlier"]
    assert any("test_changing.py" in text for text in earlier["changed"])
    made = [one["cells"][0]["attempts"] for one in (earlier, done.run)]
    assert sum(made) == 12 and made[0] >= 2


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["run"], 2, "name a suite"),
        (["run", "absent.py"], 2, "suite file 'absent.py' does not exist"),
        (["run", OUTCOMES / "passes.py", "--repeats", 0], 2, "--repeats 0"),
        (["run", OUTCOMES / "passes.py", "--order", "up"], 2, "'order' cannot be 'up'"),
        (["run", OUTCOMES / "passes.py", "--backend", "fa3"], 2, "fa3 has no cpu kernel"),
        (["run", OUTCOMES / "passes.py", "--draft-backend", "fa3"], 2, "fa3 has no cpu kernel"),
        (["run", OUTCOMES / "passes.py", "--axis", "colour=red"], 2, "unknown axis 'colour'"),
        (["run", OUTCOMES / "passes.py", "--tp", 99], 2, "--tp 99"),
        (["run", OUTCOMES / "passes.py", "--device", "cuda"], 5, "no GPU here"),
        (["run", OUTCOMES / "passes.py", "--json", "no/such/out.json"], 2, "folder no/such"),
        (["run", OUTCOMES / "passes.py", "--address", "127.0.0.1:9"], 2, "does not answer"),
        (["run", OUTCOMES / "passes.py", "--store", "/proc/no/s.sqlite"], 6, "--store"),
        (["run", OUTCOMES / "passes.py", "--nonsense"], 2, "No such option"),
        (["report", "--store", "none.sqlite"], 6, "no store at none.sqlite"),
        (["gate", "absent.py"], 2, "does not exist"),
    ],
)
def test_a_users_mistake_is_one_line_and_a_documented_code(
    harness: Callable[..., Done], arguments: list[object], code: int, told: str
) -> None:
    done = harness(*arguments)
    assert done.code == code, done.err
    assert told in done.err
    assert "Traceback" not in done.err
    assert sum(line.startswith("harness: ") for line in done.err.splitlines()) == 1
