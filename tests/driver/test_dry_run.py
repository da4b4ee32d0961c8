"""`--dry-run`: what a run would cost and which axes would do nothing, without an attempt."""

from pathlib import Path

import pytest

from harness.core.cell import Cell
from harness.core.plan import Plan, PlannedCell
from harness.driver.announce import find_longest
from harness.driver.commands.dry_run import compute_cost, find_idle_axes, print_dry_run
from harness.driver.configuration.suites import choose_suites
from harness.driver.options import RunOptions
from harness.driver.planning import make_plan

ONE, TWO = Cell((("tp", 1),)), Cell((("tp", 2),))


def test_the_cost_is_the_median_of_stored_attempts_on_all_devices() -> None:
    plan = Plan(*((PlannedCell("s", ONE), PlannedCell("s", TWO)), 10, 1, False), in_ci=False)
    cost = compute_cost(plan, 2, {("s", ONE.key): [1.0, 2.0, 90.0], ("s", TWO.key): [3.0]})
    assert (cost.seconds, cost.device_seconds, cost.unknown) == (40.0, 80.0, 0)
    assert compute_cost(plan, 2, {("s", ONE.key): [2.0]}).unknown == 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_plain.py").write_text("def test_it(): ...\n")
    (tmp_path / "test_reads.py").write_text("import os\nCELL = os.environ['HARNESS_CELL']\n")
    (tmp_path / "harness.toml").write_text(
        "[suites.own]\npytest = 'test_plain.py'\n"
        "axes.order.a.args = []\naxes.order.b.args = ['-x']\n"
    )
    return tmp_path


def test_an_axis_that_nothing_reads_is_named(folder: Path) -> None:
    assert folder.is_dir()
    options = choose_suites(
        RunOptions(suites=("test_plain.py", "test_reads.py"), order=("ascending",), env=("A=1,2",))
    )
    plan = make_plan(options, "cpu", 2, seed=1, in_ci=False)
    assert find_idle_axes(plan, options) == {"test_plain.py": ["order"]}
    laid_over = choose_suites(RunOptions(suites=("own",)))
    assert find_idle_axes(make_plan(laid_over, "cpu", 2, seed=1, in_ci=False), laid_over) == {}


def test_it_prints_the_plan_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = print_dry_run(RunOptions(suites=("own",), repeats=3, slots=2), None)
    told = capsys.readouterr().out
    assert code == 0
    assert "2 cells x 3 repeats = 6 attempts on 2 CPU slots" in told
    assert "no stored run" in told
    assert not (folder / ".harness").exists()


def test_an_attempt_may_take_what_its_own_suite_says(folder: Path) -> None:
    with (folder / "harness.toml").open("a") as file:
        file.write("timeout = 7\n")
    own = choose_suites(RunOptions(suites=("own",)))
    plain = choose_suites(RunOptions(suites=("test_plain.py",), timeout_s=40.0))
    plans = [(one, make_plan(one, "cpu", 2, seed=1, in_ci=False)) for one in (own, plain)]
    assert [find_longest(*one) for one in plans] == [7.0, 40.0]
