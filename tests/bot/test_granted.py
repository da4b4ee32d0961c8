"""A result is believed only if it is of what was granted, figure by figure."""

from typing import Any

import pytest

from harness.bot.jobs.granted import check_granted, read_granted
from harness.bot.jobs.result import RejectedError
from harness.report.run_json import read_run_json
from tests.bot.results import leave, result
from tests.bot.workplace import BASE, HEAD, Workplace

ARGUMENTS = [
    *("--repeats", "50", "--rev", HEAD, "--seed", "7", "--device", "cpu"),
    *("--order", "ascending,descending", "--tp", "1", "--", "suites/test_a.py"),
]


def replace_arguments(**changed: str) -> list[str]:
    arguments = list(ARGUMENTS)
    for flag, value in changed.items():
        arguments[arguments.index(f"--{flag}") + 1] = value
    return arguments


def check(arguments: list[str], run: dict[str, Any]) -> None:
    check_granted(read_run_json(run), read_granted(arguments))


def test_a_result_of_what_was_granted_is_believed() -> None:
    check(ARGUMENTS, result())
    check(replace_arguments(rev=f"{BASE},{HEAD}"), result(shas=(BASE, HEAD)))


@pytest.mark.parametrize(
    "changed",
    [
        {"repeats": "51"},
        {"seed": "8"},
        {"rev": BASE},
        {"rev": f"{BASE},{HEAD}"},
        {"device": "cuda"},
        {"order": "ascending"},
        {"tp": "2"},
    ],
    ids=str,
)
def test_a_result_of_anything_else_is_not(changed: dict[str, str]) -> None:
    with pytest.raises(RejectedError):
        check(replace_arguments(**changed), result())


def test_another_suite_and_an_early_stop_are_not_what_was_granted() -> None:
    other = [*ARGUMENTS[:-1], "suites/test_b.py"]
    decided = ["--until", "decided", *ARGUMENTS]
    for arguments in (other, decided, [*ARGUMENTS, "suites/test_b.py"]):
        with pytest.raises(RejectedError):
            check(arguments, result())


def drop_failures(run: dict[str, Any]) -> None:
    """A survivor leaves the failing attempts out, and all figures agree with each other."""
    for cell in run["cells"]:
        cell["attempts"] -= cell["failed"]
        cell["failed"], cell["rate"], cell["kinds"], cell["kind_intervals"] = 0, 0.0, {}, {}


def test_a_complete_run_that_lacks_attempts_is_not_believed() -> None:
    run = result()
    drop_failures(run)
    with pytest.raises(RejectedError, match="lacks attempts"):
        check(ARGUMENTS, run)


def test_a_result_of_another_seed_is_not_published(place: Workplace) -> None:
    place.says("/rerun-test test_a.py --repeats 50")
    place.parse()
    run = result()
    run["run"]["seed"] = 8
    leave(place, run)
    assert "seed" in (place.publish() or "")
    assert "was not believed" in place.answer()


def test_a_grant_that_is_not_handed_on_is_an_error(place: Workplace) -> None:
    place.says("/rerun-test test_a.py --repeats 50")
    place.parse()
    assert "ARGUMENTS" in (place.publish(ARGUMENTS="") or "")
