"""A pull request that tries to rewrite its own measurement: what it cannot do, and what it can.

Every suite of its head fails, and forges. The base, in the same run, passes.
`docs/how-to/revisions.md` lists what is defended, detected and impossible; each line of that
list is a case here.
"""

import shutil
import sys
from pathlib import Path

import pytest

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptSpec
from harness.attempt.supervise import Supervisor
from tests.revisions.conftest import PROJECT, Done, Repository, run_harness

FAILS = "def test_it():\n    assert False\n"
PASSES = "def test_it():\n    pass\n"

#: What runs it writes down: in which attempt's process, if in any.
CONFESSES = """
import os as _os, sys as _sys
if "FORGED_LOG" in _os.environ:
    with open(_os.environ["FORGED_LOG"], "a") as _log:
        _attempt = _os.environ.get("HARNESS_ATTEMPT_ID", "NONE")
        _log.write(" ".join([_attempt, __name__, *_sys.orig_argv]) + "\\n")
"""

#: A standard module's place, taken; the real one's content, so that nothing breaks by it.
SHADOW = (
    CONFESSES
    + """
_real = _os.path.join(_os.path.dirname(_os.__file__), __name__ + ".py")
exec(compile(open(_real).read(), _real, "exec"))
"""
)

WRITES = """
import json, os
def write(**event):
    line = json.dumps({{"t": 0, **event}}).encode()
    os.write(int(os.environ["HARNESS_EVENTS_FD"]), line + b"\\n")
def test_it():
    me = "{me}::test_it"
    write(event="report", id=me, when="call", outcome="passed", seconds=0)
    write(event="test_end", id=me)
    write(event="report", id=me, when="call", outcome="passed", seconds=0, rank=1, attempt="other")
    write(event="infrastructure", text="device not clean")
    write(event="refused", why="no thread")
    write(event="exited", rank=0, pid=1, code=0, signal=None, maxrss=0, cpu=0)
    write(event="finish", exitstatus=0, inside_seconds=0)
    {then}
"""

#: Suite of the head, by folder: its files, and the kinds that its one attempt fails with.
TRICKS: dict[str, tuple[dict[str, str], set[str]]] = {
    # Defended: nothing of it has any effect on the outcome.
    "plain": ({"test_it.py": FAILS}, {"assertion"}),
    "own_harness": (
        {
            "test_it.py": "import harness, harness.report\n"
            "def test_it():\n    assert harness.__file__ == 'mine'\n"
        },
        {"assertion"},
    ),
    "writes_events": (
        {"test_it.py": WRITES.format(me="writes_events/test_it.py", then="assert False")},
        {"assertion"},
    ),
    "prints": (
        {
            "test_it.py": "def test_it():\n"
            '    print(\'{"event": "finish", "exitstatus": 0}\', \'1 passed\')\n    assert False\n'
        },
        {"assertion"},
    ),
    "leaves_at_import": (
        {"conftest.py": "import os\nos._exit(0)\n", "test_it.py": FAILS},
        {"early-exit"},
    ),
    # Detected: the story does not hold together.
    "writes_and_leaves": (
        {"test_it.py": WRITES.format(me="writes_and_leaves/test_it.py", then="os._exit(1)")},
        {"early-exit"},
    ),
    "drops_the_plugin": (
        {
            "conftest.py": "def pytest_configure(config):\n"
            "    for plugin in list(config.pluginmanager.get_plugins()):\n"
            "        if type(plugin).__name__ == 'WirePlugin':\n"
            "            config.pluginmanager.unregister(plugin)\n",
            "test_it.py": FAILS,
        },
        {"error"},
    ),
    "edits_its_tree": (
        {
            "test_it.py": "import os, pathlib\ndef test_it():\n"
            "    pathlib.Path(os.environ['HARNESS_WORKTREE'], '.gitignore').write_text('edited')\n"
            "    assert False\n"
        },
        {"assertion"},
    ),
    "patches_json": (
        {
            "conftest.py": "import json\nreal = json.dumps\n"
            "json.dumps = lambda *a, **k: real(*a, **k).replace('\"failed\"', '\"passed\"')\n",
            "test_it.py": FAILS,
        },
        {"error"},
    ),
}

#: In the head, and in the way of everything trusted: the standard library's modules, the harness.
TAKEN = {
    **dict.fromkeys(("argparse.py", "selectors.py", "tempfile.py"), SHADOW),
    "sitecustomize.py": CONFESSES,
    "harness/__init__.py": CONFESSES,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forging")


@pytest.fixture(scope="module")
def commits(folder: Path) -> tuple[Repository, str, str]:
    """A pull request that edits everything it could, on top of a base that passes."""
    made = Repository(folder / "repository")
    names = (*TRICKS, "kills_keeper", "rewrites_reports")
    base = made.commit({f"{name}/test_it.py": PASSES for name in names})
    shutil.copytree(PROJECT / "harness", made.path / "harness")
    for path in (made.path / "harness").rglob("*.py"):
        path.write_text(CONFESSES + "raise SystemExit('forged')\n")
    files = {
        f"{name}/{file}": text for name, (own, _) in TRICKS.items() for file, text in own.items()
    }
    files["kills_keeper/test_it.py"] = (
        "import os, signal\ndef test_it():\n    os.kill(os.getppid(), signal.SIGKILL)\n"
    )
    files["rewrites_reports/test_it.py"] = FAILS
    files["rewrites_reports/conftest.py"] = (
        "import pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_runtest_makereport():\n"
        "    report = yield\n    report.outcome = 'passed'\n    return report\n"
        "def pytest_sessionfinish(session):\n    session.testsfailed = 0\n"
    )
    files["harness/report/__init__.py"] = CONFESSES
    head = made.commit({**files, **TAKEN})
    return made, base[:8], head[:8]


@pytest.fixture(scope="module")
def measured(commits: tuple[Repository, str, str], folder: Path) -> Done:
    """One run of it all, started inside the pull request's own checkout."""
    suites = [f"{name}/test_it.py" for name in (*TRICKS, "kills_keeper", "rewrites_reports")]
    return run_harness(
        commits[0], folder / "bin", "run", *suites, "--rev", f"{commits[1]},{commits[2]}",
        "--pass-env", "FORGED_LOG", "--sandbox", "none",  # the boundary has tests of its own
        "--repeats", 1, "--order", "ascending", "--tp", 1, "--slots", 2, "--timeout", 30,
        FORGED_LOG=str(folder / "forged.log"),
    )  # fmt: skip


@pytest.mark.parametrize("name", TRICKS)
def test_a_failing_test_that_forges_has_failed(
    measured: Done, commits: tuple[Repository, str, str], name: str
) -> None:
    found = measured.cell(f"{name}/test_it.py", commits[2])
    assert (found["passed"], found["failed"], found["infra"]) == (0, 1, 0), measured.err
    assert set(found["kinds"]) == TRICKS[name][1]


@pytest.mark.parametrize("name", [*TRICKS, "kills_keeper", "rewrites_reports"])
def test_the_base_is_measured_as_if_there_were_no_pull_request(
    measured: Done, commits: tuple[Repository, str, str], name: str
) -> None:
    found = measured.cell(f"{name}/test_it.py", commits[1])
    assert (found["passed"], found["failed"], found["infra"]) == (1, 0, 0), measured.err


def test_killing_its_keeper_gains_no_pass(
    measured: Done, commits: tuple[Repository, str, str]
) -> None:
    found = measured.cell("kills_keeper/test_it.py", commits[2])
    assert (found["passed"], found["failed"], found["infra"]) == (0, 0, 1)
    assert measured.run["verdict"]["outcome"] == "cannot-say"
    assert measured.code == 5


def test_editing_what_the_commit_holds_is_said(
    measured: Done, commits: tuple[Repository, str, str]
) -> None:
    notes = measured.cell("edits_its_tree/test_it.py", commits[2])["notes"]
    assert "tracked files of the worktree were changed: .gitignore (1 attempts)" in notes
    told = [s for s in measured.run["verdict"]["sentences"] if "changed tracked files" in s]
    assert [sentence.partition(":")[0] for sentence in told] == [f"rev {commits[2]}"]


def test_what_it_can_do_is_to_fake_its_own_tests(
    measured: Done, commits: tuple[Repository, str, str]
) -> None:
    """Its code runs in the process that reports on it: documented, not defended."""
    found = measured.cell("rewrites_reports/test_it.py", commits[2])
    assert (found["passed"], found["failed"]) == (1, 0)


def test_none_of_its_code_ran_outside_the_measured_processes(measured: Done, folder: Path) -> None:
    assert measured.run
    told = (folder / "forged.log").read_text().splitlines()
    assert told, "ranks import what is under test"
    assert [line for line in told if line.startswith("NONE ")] == []


@pytest.mark.parametrize("own_folder", [False, True])
def test_a_spawned_keeper_imports_nothing_from_the_folder_that_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_folder: bool
) -> None:
    monkeypatch.setenv("FORGED_LOG", str(tmp_path / "forged.log"))
    tree = tmp_path / "tree"
    tree.mkdir()
    # The rank has argparse before the suite's folder is looked through; nothing of ours has wave.
    for name, text in {**TAKEN, "wave.py": SHADOW, "test_it.py": "import wave\n" + PASSES}.items():
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text(text)
    spec = AttemptSpec(
        run_id="r", attempt_id="r.1", nodeids=("test_it.py",), folder=tmp_path / "attempt",
        python=sys.executable, cwd=tree, isolation="spawn",
        env={"HARNESS_WORKTREE": str(tree), "HARNESS_CHECKOUT": str(tmp_path / "checkout"),
             "FORGED_LOG": str(tmp_path / "forged.log")},
    )  # fmt: skip
    supervisor = Supervisor(
        SupervisorSettings(
            python=sys.executable, isolation="spawn", cwd=tree if own_folder else None
        )
    )
    record = supervisor.run(spec, lambda *_: None)
    supervisor.close()
    assert record.error is None and record.exits[0].code == 0, record.log_tails
    told = (tmp_path / "forged.log").read_text().splitlines()
    assert any(line.startswith("r.1 ") for line in told), "the rank imports one, so the trap works"
    assert [line for line in told if line.startswith("NONE ")] == []
