"""When jobs run: their conditions, evaluated on the payload of each event kind."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflows.expressions import evaluate

PROJECT = Path(__file__).parents[2]
PAYLOADS = Path(__file__).parent / "payloads"
MAIN, OTHER = "refs/heads/main", "refs/heads/other"


def read_condition(workflow: str, job: str) -> str:
    text = (PROJECT / ".github/workflows" / workflow).read_text()
    condition: str = yaml.safe_load(text)["jobs"][job]["if"]
    return condition


def make_context(event: str, ref: str = MAIN, **more: Any) -> dict[str, Any]:
    payload = json.loads((PAYLOADS / f"{event}.json").read_text())
    github = {"event_name": event, "event": payload, "ref": ref, "run_attempt": 1}
    return {"github": github, "cancelled": False, **more}


def test_a_schedule_does_not_name_the_repository() -> None:
    payload = json.loads((PAYLOADS / "schedule.json").read_text())
    assert "repository" not in payload


@pytest.mark.parametrize(
    ("event", "ref", "runs"),
    [
        ("schedule", MAIN, True),
        ("workflow_dispatch", MAIN, True),
        ("workflow_dispatch", OTHER, False),
    ],
)
def test_the_nightly_job_measures_the_default_branch_only(event: str, ref: str, runs: bool) -> None:
    condition = read_condition("flake-nightly.yml", "measure")
    assert bool(evaluate(condition, make_context(event, ref))) is runs


@pytest.mark.parametrize(
    ("result", "cancelled", "runs"),
    [
        ("success", False, True),
        ("failure", False, True),
        ("skipped", False, False),
        ("cancelled", True, False),
    ],
)
def test_the_nightly_report_follows_a_measurement(result: str, cancelled: bool, runs: bool) -> None:
    context = make_context("schedule", needs={"measure": {"result": result}})
    context["cancelled"] = cancelled
    assert bool(evaluate(read_condition("flake-nightly.yml", "report"), context)) is runs


def change_event(*path: str, to: Any) -> dict[str, Any]:
    context = make_context("issue_comment")
    place: Any = context["github"]["event"]
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to
    return context


@pytest.mark.parametrize(
    ("context", "runs"),
    [
        (make_context("issue_comment"), True),
        (change_event("issue", "pull_request", to=None), False),
        (change_event("comment", "user", "type", to="Bot"), False),
        (change_event("comment", "body", to="please /rerun-test a.py"), False),
    ],
    ids=["command", "on an issue", "by a bot", "no command"],
)
def test_only_a_persons_command_on_a_pull_request_is_parsed(
    context: dict[str, Any], runs: bool
) -> None:
    assert bool(evaluate(read_condition("rerun-test.yml", "parse"), context)) is runs


def make_needs(action: str, result: str) -> dict[str, Any]:
    return {"parse": {"outputs": {"action": action}, "result": result}}


@pytest.mark.parametrize(
    ("action", "result", "measures", "publishes"),
    [
        ("measure", "success", True, True),
        ("none", "success", False, False),
        ("", "failure", False, True),
        ("", "cancelled", False, True),
        ("", "skipped", False, False),
    ],
)
def test_what_was_parsed_decides_what_follows(
    action: str, result: str, measures: bool, publishes: bool
) -> None:
    context = make_context("issue_comment", needs=make_needs(action, result))
    assert bool(evaluate(read_condition("rerun-test.yml", "measure"), context)) is measures
    assert bool(evaluate(read_condition("rerun-test.yml", "publish"), context)) is publishes


def test_a_second_attempt_measures_nothing() -> None:
    context = make_context("issue_comment", needs=make_needs("measure", "success"))
    context["github"]["run_attempt"] = 2
    assert not evaluate(read_condition("rerun-test.yml", "measure"), context)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("a.b == a.missing", True),
        ("a.missing.deeper == ''", True),
        ("!a.b && 'x' == 'X'", True),
        ("format('refs/heads/{0}', a.name)", "refs/heads/main"),
        ("format('refs/heads/{0}', a.missing)", "refs/heads/"),
        ("${{ a.name == 'main' || cancelled() }}", True),
        ("(a.name == 'x' || a.name == 'y') && always()", False),
    ],
)
def test_expressions_are_evaluated_as_github_does(expression: str, value: Any) -> None:
    assert evaluate(expression, {"a": {"name": "main"}, "cancelled": False}) == value
