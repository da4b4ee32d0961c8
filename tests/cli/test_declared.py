"""Options are declared once: what a command line gives, what is stored, and what it means."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli.main import app, main
from harness.core.cell import Axis
from harness.core.errors import UsageError
from harness.driver import early
from harness.driver.commands import resume, run
from harness.driver.declarations import list_declared
from harness.driver.options import RunOptions, read_options, store_options

RUNNER = CliRunner()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunOptions]:
    """Call `harness run` as far as the driver. Return the options that the driver gets."""
    got: list[RunOptions] = []

    def start(options: RunOptions, *_: Any) -> int:
        got.append(options)
        return 0

    monkeypatch.setattr(run, "start_run", start)
    monkeypatch.setattr(early, "start_broker", nullcontext)

    def call(*arguments: str) -> RunOptions:
        result = RUNNER.invoke(app, ["run", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return got[-1]

    return call


def test_without_options_every_field_has_its_declared_default(
    asked: Callable[..., RunOptions],
) -> None:
    assert asked() == RunOptions()


@pytest.mark.parametrize(
    ("arguments", "suites", "suite_args"),
    [
        (("a.py", "--", "-m", "gpu"), ("a.py",), ("-m", "gpu")),
        (("--repeats", "2", "--", "a.py", "--html=x"), ("a.py", "--html=x"), ()),
        (("--repeats", "2", "--"), (), ()),
        (("a.py", "--"), ("a.py",), ()),
    ],
)
def test_after_two_dashes_come_the_suites_arguments_or_the_suites_if_none_was_named(
    arguments: tuple[str, ...],
    suites: tuple[str, ...],
    suite_args: tuple[str, ...],
    asked: Callable[..., RunOptions],
) -> None:
    options = asked(*arguments)
    assert (options.suites, options.suite_args) == (suites, suite_args)


def test_each_option_reaches_its_field(asked: Callable[..., RunOptions]) -> None:
    options = asked(
        "a.py", "b.py", "--repeats", "7", "--order", "ascending, gate", "--tp", "1,2",
        "--axis", "page_size=1,4", "--env", "MODE=x,y", "-k", "fast", "--fixed-seed",
        "--timeout", "9", "--rev", "main,topic", "--base-rate", "0.3",
    )  # fmt: skip
    assert options.suites == ("a.py", "b.py")
    assert (options.repeats, options.timeout_s, options.base_rate) == (7, 9.0, 0.3)
    assert (options.keyword, options.fixed_seed, options.revs) == ("fast", True, ("main", "topic"))
    assert options.axes == (
        Axis("order", ("ascending", "gate")),
        Axis("tp", (1, 2)),
        Axis("page_size", (1, 4)),
        Axis("env:MODE", ("x", "y")),
    )


def test_options_come_back_from_the_store_as_they_were(asked: Callable[..., RunOptions]) -> None:
    options = asked("a.py", "--env", "A=1", "--rev", "x", "--seed", "5", "--until", "decided")
    assert read_options(store_options(options)) == options


def test_options_that_the_first_release_stored_are_read() -> None:
    stored = {
        "suites": ["a.py"], "repeats": 6, "device": "auto", "isolation": "fork", "seed": 3,
        "axes": [{"name": "order", "values": ["ascending"]}, {"name": "tp", "values": [1]},
                 {"name": "env:MODE", "values": ["x", "y"]}],
    }  # fmt: skip
    options = read_options(stored)
    assert options.axes == (
        Axis("order", ("ascending",)),
        Axis("tp", (1,)),
        Axis("env:MODE", ("x", "y")),
    )
    assert (options.repeats, options.seed, options.isolation) == (6, 3, "fork")


def test_options_of_a_later_release_are_left_out() -> None:
    assert read_options({"repeats": 3, "colour": "red"}) == RunOptions(repeats=3)


@pytest.mark.parametrize(
    "one", [one for one in list_declared(RunOptions) if one.option.flags], ids=lambda one: one.field
)
def test_beside_resume_only_options_that_change_no_plan_are_accepted(
    one: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "resume_run", lambda *_: 0)
    value = {int: "5", int | None: "5", float: "0.5", float | None: "0.5", bool: None}
    given = value.get(one.type, "a=b" if one.field in ("axis", "env") else "spawn")
    if one.field == "until":
        given = "decided"
    arguments = [one.option.flags[0], *([given] if given else [])]
    result = RUNNER.invoke(app, ["run", "--resume", "latest", *arguments])
    if one.option.beside_resume:
        assert result.exit_code == 0, result.output
    else:
        assert isinstance(result.exception, UsageError)
        assert one.option.flags[0] in str(result.exception)


def test_help_shows_every_option_in_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = RUNNER.invoke(app, ["run", "--help"]).output
    for one in list_declared(RunOptions):
        assert one.option.name in text
        assert not one.option.flags or one.option.group in text


def test_the_version_is_printed() -> None:
    result = RUNNER.invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("harness ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--repeats", "five"], ("--repeats", "'five'", "whole number")),
        (["run", "--max-flake-rate", "x"], ("--max-flake-rate", "'x'", "number")),
        (["rerun", "a.1", "--repeats", "0"], ("--repeats",)),
        (["run", "--env", "A=\udcff"], ("--env", "UTF-8")),
        (["rerun"], ("ATTEMPT", "harness rerun --help")),
        (["raport"], ("raport", "report")),
        (["run", "--repaets", "5"], ("--repaets", "--repeats")),
    ],
)
def test_a_mistake_is_one_line_with_option_value_and_remedy(
    words: list[str],
    said: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["harness", *words])
    with pytest.raises(SystemExit) as left:
        main()
    line = capsys.readouterr().err
    assert left.value.code == 2 and line.count("\n") == 1
    assert [part for part in said if part not in line] == []
