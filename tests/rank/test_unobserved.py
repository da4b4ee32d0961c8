"""Which processes the keeper says are not observed."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rank import hooking
from harness.rank.unobserved import judge_process

WITH_HOOK = [b"PYTHONPATH=" + bytes(hooking.LOADER.parent / "start") + b":/else"]


@pytest.mark.parametrize(
    "arguments",
    ["-I x.py", "-Es x.py", "-S -c pass", "-W ignore -I x.py", "-X dev -I", "-uBI x.py", "-bWx -E"],
)
def test_an_interpreter_that_hides_the_environment_is_not_observed(arguments: str) -> None:
    command = [b"/usr/bin/python3", *arguments.encode().split()]
    assert "started with -" in str(judge_process(command, WITH_HOOK))


@pytest.mark.parametrize(
    "arguments",
    ["x.py -I", "-c pass -I", "-m pkg -E", "-cpass -I", "-u x.py", "-WI x.py", "-XI", "- -I", ""],
)
def test_flags_of_the_program_are_not_the_interpreters(arguments: str) -> None:
    command = [b"/usr/bin/python3.12", *arguments.encode().split()]
    assert judge_process(command, WITH_HOOK) is None


def test_an_interpreter_without_the_attempts_path_is_not_observed() -> None:
    assert judge_process([sys.executable.encode(), b"x.py"], [b"PYTHONPATH=/else"]) is not None
    assert judge_process([b"python", b"x.py"], []) is not None


def test_other_programs_are_no_concern() -> None:
    assert judge_process([b"/bin/sh", b"-E"], []) is None


@given(st.lists(st.binary(max_size=8), min_size=1), st.lists(st.binary(max_size=20)))
def test_any_command_line_is_judged(command: list[bytes], environment: list[bytes]) -> None:
    judge_process(command, environment)
