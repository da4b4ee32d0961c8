"""What is recorded of where a run was made."""

import pytest

from harness.core.ci import detect_ci_job
from harness.driver.fingerprint import fingerprint

ACTIONS = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "owner/repo",
    "GITHUB_RUN_ID": "123",
    "GITHUB_RUN_ATTEMPT": "2",
}


def test_a_run_inside_a_workflow_names_it() -> None:
    assert detect_ci_job(ACTIONS) == {
        "provider": "github",
        "repository": "owner/repo",
        "run_id": "123",
        "run_attempt": "2",
    }


def test_a_run_elsewhere_names_none() -> None:
    assert detect_ci_job({}) is None
    assert detect_ci_job({**ACTIONS, "GITHUB_ACTIONS": ""}) is None


def test_it_is_stored_with_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ACTIONS.items():
        monkeypatch.setenv(name, value)
    assert fingerprint([])["ci"] == detect_ci_job(ACTIONS)
