"""What a zygote learns to import in advance, and what it must not."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.attempt.supervise import Supervisor

SHOWS = """
import os, sys
preloaded = [name for name in ("library", "threaded", "helper") if name in sys.modules]
import {imports}

def test_shows():
    os.write(int(os.environ["HARNESS_LOG_FD"]), f"PRELOADED={{','.join(preloaded)}}\\n".encode())
"""
SLOW = "import time\ntime.sleep(0.02)\n"
PLUGIN = f"""{SLOW}
import os
IMPORTED_BY = os.getpid()

def check(value):
    assert value == 2
"""
USES_PLUGIN = """
import os
import plugged
import pytest

def test_the_plugins_assertions_say_what_they_compare():
    preloaded = "" if plugged.IMPORTED_BY == os.getpid() else "plugged"
    os.write(int(os.environ["HARNESS_LOG_FD"]), f"PRELOADED={preloaded}\\n".encode())
    with pytest.raises(AssertionError, match="assert 1 == 2"):
        plugged.check(1)
"""
THREADED = f"""{SLOW}
import threading
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
"""

Run = Callable[[], AttemptRecord]


def install_plugin(site: Path) -> None:
    """Install a plugin of pytest, which is slow to import, and a library that imports it too."""
    (site / "plugged.py").write_text(PLUGIN)
    info = site / "plugged-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest11]\nplugged = plugged\n")
    (info / "RECORD").write_text("plugged.py,,\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A suite's folder, beside one with installed libraries."""
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed/library.py").write_text(SLOW)
    (tmp_path / "installed/threaded.py").write_text(THREADED)
    install_plugin(tmp_path / "installed")
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/helper.py").write_text(SLOW)
    return tmp_path / "suite"


@pytest.fixture
def run(
    folder: Path,
    tmp_path: Path,
    make_spec: Callable[..., AttemptSpec],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Run]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    environment = {
        "PYTHONPATH": str(tmp_path / "installed"),
        "PYTEST_ADDOPTS": "-p no:hypothesispytest",
    }
    supervisor = Supervisor(
        SupervisorSettings(
            python=sys.executable,
            isolation="fork",
            cwd=folder,
            preload=("pytest",),
            environment=environment,
            learn_preload=True,
        )
    )
    spec = make_spec("test_shows.py", cwd=folder)
    yield lambda: supervisor.run(spec, lambda *_: None)
    supervisor.close()


def find_preloaded(record: AttemptRecord) -> str:
    assert record.error is None and record.exits[0].code == 0, record.log_tails
    return record.log_tails[0].partition("PRELOADED=")[2].split("\n")[0]


def run_until(run: Run, is_met: Callable[[AttemptRecord], bool]) -> AttemptRecord:
    deadline = time.monotonic() + 40
    while not is_met(record := run()):
        assert time.monotonic() < deadline, "nothing was learned"
    return record


def test_what_the_first_attempt_imported_from_outside_is_preloaded_later(
    folder: Path, run: Run, tmp_path: Path
) -> None:
    (folder / "test_shows.py").write_text(SHOWS.format(imports="library, helper"))
    first = run()
    assert find_preloaded(first) == ""
    later = run_until(run, lambda record: find_preloaded(record) != "")
    assert find_preloaded(later) == "library", "the suite's own helper is never preloaded"
    assert later.isolation == "fork" and later.keeper_id != first.keeper_id
    assert len(list((tmp_path / "cache/harness/preload").iterdir())) == 1


def test_a_plugin_of_pytest_is_preloaded_as_pytest_would_have_imported_it(
    folder: Path, run: Run
) -> None:
    # pytest warns of a plugin that was imported before it could rewrite its assertions.
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (folder / "test_shows.py").write_text(USES_PLUGIN)
    later = run_until(run, lambda record: find_preloaded(record) != "")
    assert find_preloaded(later) == "plugged"


def test_a_module_that_starts_a_thread_is_left_out_and_the_others_are_not(
    folder: Path, run: Run
) -> None:
    (folder / "test_shows.py").write_text(SHOWS.format(imports="threaded, library"))
    later = run_until(run, lambda record: find_preloaded(record) != "")
    assert find_preloaded(later) == "library" and later.isolation == "fork"


def test_a_suite_that_sets_variables_as_it_is_imported_is_left_alone_and_it_is_said(
    folder: Path, run: Run
) -> None:
    (folder / "conftest.py").write_text("import os\nos.environ['MODE'] = 'fast'\n")
    (folder / "test_shows.py").write_text(SHOWS.format(imports="library"))
    noted = run_until(run, lambda record: bool(record.notes))
    assert "MODE" in noted.notes[0]
    after = run()
    assert find_preloaded(after) == "" and not after.notes
