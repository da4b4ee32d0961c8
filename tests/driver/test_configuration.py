"""`harness.toml`: what it may hold, what a mistake is called, and what a suite becomes by it."""

import sys
from pathlib import Path

import pytest

from harness.attempt.spec import AttemptSpec
from harness.core.cell import Cell
from harness.core.errors import UsageError
from harness.driver.attempts import apply_setup
from harness.driver.configuration.read import read_configuration
from harness.driver.configuration.suites import choose_suites, list_suite_files
from harness.driver.options import RunOptions, read_options, store_options
from harness.driver.planning import make_plan
from harness.driver.processes import choose_isolation
from tools.configuration_schema import PATH, format_schema

COLOURS = """
[suites.colours]
pytest = "test_it.py"
args = ["-x"]
env = { SIZE = "1" }
timeout = 20
[suites.colours.axes.order]
up = { args = ["--up"], env = { SIZE = "2" } }
down = { patches = ["order:descending"] }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_it.py").write_text("def test_it(): ...\n")
    (tmp_path / "unit.py").write_text("")
    return tmp_path


def configure(folder: Path, text: str) -> None:
    (folder / "harness.toml").write_text(text)


def plan_labels(*suites: str, **options: object) -> list[str]:
    chosen = choose_suites(RunOptions(suites=suites, repeats=1, **options))  # type: ignore[arg-type]
    plan = make_plan(chosen, "cpu", 2, seed=1, in_ci=False)
    return [f"{one.suite}: {one.cell.label}" for one in plan.runnable]


def lay_over(name: str, **axes: str) -> AttemptSpec:
    setup = choose_suites(RunOptions(suites=(name,))).setups[name]
    spec = AttemptSpec(
        run_id="r", attempt_id="a", nodeids=(name,), folder=Path("f"), python=sys.executable,
        cwd=Path.cwd(), arguments=("-k", "x"),
    )  # fmt: skip
    return apply_setup(spec, setup, Cell(tuple(axes.items())))


def test_a_suite_of_the_configuration_has_its_own_axes_and_no_others(folder: Path) -> None:
    configure(folder, COLOURS)
    assert plan_labels("colours") == ["colours: tp 1 · up", "colours: tp 1 · down"]
    assert {label.split(": ")[0] for label in plan_labels("colours", "test_it.py")} == {
        "colours",
        "test_it.py",
    }


def test_an_option_chooses_among_the_values_of_a_configured_axis(folder: Path) -> None:
    configure(folder, COLOURS)
    assert len(plan_labels("colours", axis=("order=down",))) == 1
    with pytest.raises(UsageError, match="no value 'sideways': the configuration has up, down"):
        plan_labels("colours", order=("sideways",))


def test_a_cell_lays_its_values_over_the_suite(folder: Path) -> None:
    configure(folder, COLOURS)
    up, down = lay_over("colours", order="up"), lay_over("colours", order="down")
    assert (up.nodeids, up.timeout_s) == (("test_it.py",), 20)
    assert up.arguments == ("-x", "--up", "-k", "x")
    assert up.env == {"SIZE": "2"}
    assert down.arguments == ("-x", "-k", "x")
    assert down.env == {"SIZE": "1", "HARNESS_HOOK": "order:descending"}
    assert up.overlaid == ("order",)


def test_devices_of_an_attempt_are_seen_by_one_process(folder: Path) -> None:
    configure(folder, '[suites.two]\npytest = "test_it.py"\ndevices = 2\n')
    assert plan_labels("two") == ["two: devices 2"]
    configure(folder, '[suites.two]\npytest = "test_it.py"\ndevices = 3\n')
    with pytest.raises(UsageError, match=r"devices = 3: .* there are 2"):
        plan_labels("two")


def test_a_stored_run_keeps_its_suites_whatever_the_file_says_later(folder: Path) -> None:
    configure(folder, COLOURS)
    options = choose_suites(RunOptions(suites=("colours",)))
    (folder / "harness.toml").unlink()
    assert read_options(store_options(options)).setups == options.setups


def test_a_command_takes_the_arguments_of_its_cell(folder: Path) -> None:
    configure(folder, '[suites.line]\ncommand = "make check"\n[suites.words]\ncommand = ["make"]\n')
    assert lay_over("line").nodeids[:3] == ("sh", "-c", 'make check "$@"')
    assert lay_over("words").nodeids == ("make",)


def test_pyproject_holds_the_same_tables_and_two_files_are_refused(folder: Path) -> None:
    pyproject = COLOURS.replace("[suites", "[tool.harness.suites")
    (folder / "pyproject.toml").write_text(pyproject)
    assert list(read_configuration().suites) == ["colours"]
    configure(folder, COLOURS)
    with pytest.raises(UsageError, match=r"both harness.toml and pyproject.toml"):
        read_configuration()


def test_a_project_without_a_configuration_has_none(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.other]\n")
    assert read_configuration().suites == {}


SUITE = '[suites.a]\npytest = "test_it.py"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[suite.a]\n", "unknown key suite: did you mean suites"),
        (SUITE + "timout = 3\n", "suites.a.timout: did you mean timeout"),
        (SUITE + "colour = 3\n", "suites.a.colour: known are .*axes"),
        (SUITE + "axes.order.up.arg = ['x']\n", "suites.a.axes.order.up.arg: did you mean args"),
        (SUITE + "axes.order = {}\n", "suites.a.axes.order: "),
        ("[[known_flakes]]\nownr = 'x'\n", "known_flakes.0.ownr: did you mean owner"),
        ("[suites.a]\n", "exactly one of pytest, unittest and command"),
        (SUITE + "command = 'x'\n", "exactly one of pytest, unittest and command"),
        (SUITE + "python = 'p'\nvenv = 'v'\n", "python or venv"),
        (SUITE + "result = 'tap'\n", "result is for a command"),
        ("[suites.a]\ncommand = 'x'\nresult = 'trx'\n", "suites.a.result: "),
        ("[suites.'a.py']\npytest = 'x'\n", "suites.a.py: "),
        (SUITE + "devices = 0\n", "suites.a.devices: "),
        (SUITE + "collect = ['/etc/passwd']\n", "suites.a.collect.0: "),
        ("a = [", "not valid TOML"),
        ("\xff", "not valid TOML"),
    ],
)
def test_a_mistake_names_its_key_and_what_is_known(folder: Path, text: str, told: str) -> None:
    (folder / "harness.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=told):
        read_configuration()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("b", SUITE.replace("[suites.a]", "[suites.bb]"), "did you mean bb"),
        ("a", SUITE + "cwd = 'gone'\n", "folder gone does not exist"),
        ("a", "[suites.a]\nunittest = 'gone.py'\n", "file gone.py does not exist"),
        ("a", SUITE + "venv = 'gone'\n", "interpreter gone/bin/python does not exist"),
        ("a", SUITE + "python = '/bin/false'\n", "has no pytest"),
        ("gone", SUITE, "suite file 'gone' does not exist"),
    ],
)
def test_a_suite_that_cannot_run_is_refused_before_any_attempt(
    folder: Path, name: str, text: str, told: str
) -> None:
    configure(folder, text)
    with pytest.raises(UsageError, match=told):
        plan_labels(name)


def test_a_suite_with_an_interpreter_of_its_own_is_not_forked(folder: Path) -> None:
    configure(folder, "[suites.a]\nunittest = 'unit.py'\n")
    with pytest.raises(UsageError, match="--isolation fork: suite a"):
        plan_labels("a", isolation="fork")


def test_without_a_suite_the_configured_names_are_told(folder: Path) -> None:
    configure(folder, COLOURS)
    with pytest.raises(UsageError, match="the configuration has colours"):
        plan_labels()


def test_a_folder_of_this_engines_suites_is_measured_file_by_file(folder: Path) -> None:
    (folder / "suites").mkdir()
    (folder / "suites/test_ours.py").write_text("engine_args = dict()\ndef test_it(): ...\n")
    (folder / "suites/test_other.py").write_text("def test_it(): ...\n")
    (folder / "plain").mkdir()
    assert {label.split(":")[0] for label in plan_labels("suites")} == {
        "suites/test_ours.py",
        "suites/test_other.py",
    }
    assert plan_labels("plain") == ["plain: tp 1"]


def test_a_value_that_only_the_configuration_knows_is_refused_for_other_suites(
    folder: Path,
) -> None:
    configure(folder, COLOURS)
    with pytest.raises(UsageError, match="'order' cannot be 'up'"):
        plan_labels("colours", "test_it.py", order=("up",))


def test_the_schema_for_editors_is_the_models() -> None:
    assert PATH.read_text() == format_schema(), "run: python tools/configuration_schema.py"


def test_a_run_stores_the_files_of_its_configured_suites(folder: Path) -> None:
    configure(folder, COLOURS + "[suites.line]\ncommand = 'true'\n")
    options = choose_suites(RunOptions(suites=("colours", "line", "test_it.py")))
    assert list_suite_files(options) == ["test_it.py", "line", "test_it.py"]


def test_a_suite_that_sees_several_devices_is_spawned(folder: Path) -> None:
    configure(folder, SUITE + "devices = 2\n")
    assert choose_isolation(choose_suites(RunOptions(suites=("a",))), "cuda") == "spawn"
