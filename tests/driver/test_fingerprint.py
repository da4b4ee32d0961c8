"""What is recorded of where a run was made."""

import pytest

from harness.driver.fingerprint import ci_of, fingerprint

ACTIONS = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "owner/repo",
    "GITHUB_RUN_ID": "123",
    "GITHUB_RUN_ATTEMPT": "2",
}


def test_a_run_inside_a_workflow_names_it() -> None:
    assert ci_of(ACTIONS) == {
        "provider": "github",
        "repository": "owner/repo",
        "run_id": "123",
        "run_attempt": "2",
    }


def test_a_run_elsewhere_names_none() -> None:
    assert ci_of({}) is None
    assert ci_of({**ACTIONS, "GITHUB_ACTIONS": ""}) is None


def test_it_is_stored_with_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ACTIONS.items():
        monkeypatch.setenv(name, value)
    assert fingerprint([])["ci"] == ci_of(ACTIONS)
