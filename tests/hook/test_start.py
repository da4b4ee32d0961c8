"""What a process sees of the hook as it starts: the next sitecustomize, its path, its imports."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.attempt.observing import START_FOLDER

FOREIGN = Path(__file__).parent / "foreign"
CAPTURE = "import torch.cuda as c\nwith c.graph(c.CUDAGraph()): pass\n"
Start = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Run a program in an interpreter with the hook; own/ stands behind it on PYTHONPATH."""
    (tmp_path / "own").mkdir()
    (tmp_path / "hook").mkdir()

    def run(code: str, *flags: str, **more: str) -> "subprocess.CompletedProcess[str]":
        path = os.pathsep.join(map(str, [START_FOLDER, tmp_path / "own", FOREIGN]))
        hook = {"HARNESS_HOOK": "report", "HARNESS_HOOK_FOLDER": str(tmp_path / "hook")}
        environment = {**os.environ, "PYTHONPATH": path, **hook, **more}
        command = [sys.executable, *flags, "-c", code]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
        )

    return run


def read_names(tmp_path: Path) -> list[str]:
    return [
        json.loads(line)["event"]
        for path in sorted((tmp_path / "hook").iterdir())
        for line in path.read_text().splitlines()
    ]


def test_the_next_sitecustomize_is_the_one_that_a_process_has(start: Start, tmp_path: Path) -> None:
    (tmp_path / "own" / "sitecustomize.py").write_text("import sys\nsys.own = __file__\n")
    done = start("import sys, sitecustomize; print(sys.own == sitecustomize.__file__); " + CAPTURE)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert read_names(tmp_path)[-1] == "hook_capture"


def test_without_another_one_there_is_none(start: Start) -> None:
    done = start(
        "import sys\n"
        "print([p for p in sys.path if p.endswith('start')], 'sitecustomize' in sys.modules)\n"
        "try:\n import sitecustomize\nexcept ModuleNotFoundError as error: print(error.name)"
    )
    assert (done.stdout, done.stderr) == ("[] False\nsitecustomize\n", "")


def test_a_sitecustomize_that_fails_is_reported_as_without_us(start: Start, tmp_path: Path) -> None:
    (tmp_path / "own" / "sitecustomize.py").write_text("1 / 0\n")
    done = start(CAPTURE)
    assert done.returncode == 0 and "ZeroDivisionError" in done.stderr
    assert read_names(tmp_path)[-1] == "hook_capture"


#: Two of the ways in which a suite's own start-up code can stand in our way.
STANDS_BEFORE_US = """
import sys
from importlib.machinery import PathFinder
class First:
    def find_spec(self, name, path=None, target=None):
        return PathFinder.find_spec(name, path, target) if name.startswith("torch") else None
sys.meta_path.insert(0, First())
"""
REPLACES_THE_CLASS = """
import torch.cuda.graphs as g
class Mine(g.CUDAGraph): pass
g.CUDAGraph = Mine
import torch.cuda
torch.cuda.CUDAGraph = Mine
"""


@pytest.mark.parametrize("fight", [STANDS_BEFORE_US, REPLACES_THE_CLASS])
def test_captures_are_seen_past_other_finders_and_subclasses(
    start: Start, tmp_path: Path, fight: str
) -> None:
    (tmp_path / "own" / "sitecustomize.py").write_text(fight)
    done = start(f"import torch.cuda, wave\n{CAPTURE}")
    assert (done.returncode, done.stderr) == (0, "")
    assert read_names(tmp_path)[-1] == "hook_capture"


def test_whoever_takes_our_finder_away_is_not_observed_and_runs(
    start: Start, tmp_path: Path
) -> None:
    take_away = "import sys\nsys.meta_path[:] = [f for f in sys.meta_path if 'hook' not in repr(f)]"
    (tmp_path / "own" / "sitecustomize.py").write_text(take_away)
    done = start(CAPTURE)
    assert (done.returncode, done.stderr) == (0, "")
    assert read_names(tmp_path) == []


def test_flags_that_hide_the_environment_hide_the_hook(start: Start, tmp_path: Path) -> None:
    for flag in ("-I", "-E", "-S"):
        assert start("pass", flag).returncode == 0
    assert read_names(tmp_path) == []


def test_nothing_is_imported_that_python_would_not_import_itself(start: Start) -> None:
    code = "import sys; print('typing' in sys.modules, 'json' in sys.modules, len(sys.modules))"
    flags = ("-s", "-W", "ignore")
    plain = subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, check=True
    )
    hooked = start(code, *flags)
    before, after = plain.stdout.split(), hooked.stdout.split()
    assert before[:2] == after[:2]
    assert int(after[2]) - int(before[2]) < 20


def test_an_unknown_part_is_said_and_the_program_runs(start: Start, tmp_path: Path) -> None:
    done = start("print('ran')", HARNESS_HOOK="nonsense")
    assert done.stdout == "ran\n" and "nonsense" in done.stderr
    assert read_names(tmp_path)[-1] == "hook_refusal"


def test_a_fork_writes_a_file_of_its_own(start: Start, tmp_path: Path) -> None:
    code = f"import os\n{CAPTURE}\npid = os.fork()\n{CAPTURE}\nif pid: os.wait()"
    assert start(code).returncode == 0
    files = [path.read_text().splitlines() for path in (tmp_path / "hook").iterdir()]
    # The parent: who it is, ready, two captures. The child: who it is, one capture.
    assert sorted(map(len, files)) == [2, 4]
    assert all(json.loads(lines[0])["event"] == "hook_process" for lines in files)


def test_a_process_that_closes_all_descriptors_still_writes(start: Start, tmp_path: Path) -> None:
    assert start(f"import os\n{CAPTURE}os.closerange(3, 100)\n{CAPTURE}").returncode == 0
    assert read_names(tmp_path).count("hook_capture") == 2


def test_a_folder_that_cannot_be_written_breaks_nothing(start: Start) -> None:
    done = start(CAPTURE + "print('ran')", HARNESS_HOOK_FOLDER="/nowhere/at/all")
    assert (done.stdout, done.stderr) == ("ran\n", "")


def test_a_file_stays_bounded(start: Start, tmp_path: Path) -> None:
    code = (
        f"{CAPTURE}import sys\nchannel = sys.modules['_harness_hook'].hook.channel\n"
        "for n in range(900): channel.emit('big', text='x' * 8000)"
    )
    assert start(code).returncode == 0
    (path,) = (tmp_path / "hook").iterdir()
    assert 4 << 20 < path.stat().st_size < 5 << 20
    assert json.loads(path.read_text().splitlines()[-1])["event"] == "hook_full"


def test_a_graph_dies_when_the_program_drops_it(start: Start) -> None:
    code = (
        "import gc, weakref, torch.cuda as c\ngc.disable()\ngraph = c.CUDAGraph()\n"
        "with c.graph(graph): pass\nseen = weakref.ref(graph)\ndel graph\nprint(seen())"
    )
    assert start(code).stdout == "None\n"


def test_a_variable_dies_in_a_function_that_captures(start: Start) -> None:
    code = (
        "import weakref, torch.cuda as c\nclass Tensor: pass\n"
        "def capture(bs):\n    held = Tensor()\n    seen = weakref.ref(held)\n"
        "    with c.graph(c.CUDAGraph()): pass\n    del held\n    return seen()\n"
        "print(capture(3))"
    )
    assert start(code).stdout == "None\n"


def test_a_part_that_fails_is_reported_once_and_the_program_runs(
    start: Start, tmp_path: Path
) -> None:
    code = "import torch.cuda as c\ndel c.memory_reserved\n" + 2 * CAPTURE + "print('ran')"
    assert start(code).stdout == "ran\n"
    # Once before a capture, once after it: two methods that no longer are called.
    assert read_names(tmp_path).count("hook_error") == 2
