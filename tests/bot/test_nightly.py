"""The nightly run's one issue: what a night means for it, and what GitHub is told."""

import io
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.bot.jobs.nightly import (
    LABEL,
    MARKER,
    CloseIssue,
    LeaveIssues,
    OpenIssue,
    Step,
    UpdateIssue,
    decide_step,
    update_nightly_issue,
)
from harness.bot.jobs.restore import restore_store
from harness.core.errors import HarnessError, UsageError
from harness.report.run_json import read_run_json
from tests.bot.github_fake import GithubFake
from tests.bot.github_samples import stamp
from tests.bot.results import leave, result
from tests.bot.workplace import Workplace
from tests.report.runs import ASCENDING, SHA, make_report

URL = "https://github.example/run"


def night(failed: int, repeats: int) -> dict[str, Any]:
    """A night with the gate of 5 %."""
    run = result(failed, repeats=repeats, gate=0.05)
    run["run"] |= {"sha": SHA, "revisions": []}
    return run


BROKEN, HOLDS, UNDECIDED = night(20, 60), night(0, 60), night(0, 20)


def test_the_three_nights_are_what_they_are_called() -> None:
    states = [run["gate"]["state"] for run in (BROKEN, HOLDS, UNDECIDED)]
    assert states[:2] == ["broken", "holds"]
    assert states[2] in ("open", "out of reach")


@pytest.mark.parametrize(
    ("run", "is_open", "step"),
    [
        (BROKEN, False, OpenIssue),
        (BROKEN, True, UpdateIssue),
        (HOLDS, False, LeaveIssues),
        (HOLDS, True, CloseIssue),
        (UNDECIDED, False, LeaveIssues),
        (UNDECIDED, True, UpdateIssue),
    ],
)
def test_only_proof_moves_the_issue(run: dict[str, Any], is_open: bool, step: type[Step]) -> None:
    assert isinstance(decide_step(read_run_json(run), is_open, URL), step)


def test_an_undecided_night_says_nothing_new() -> None:
    step = decide_step(read_run_json(UNDECIDED), True, URL)
    assert isinstance(step, UpdateIssue)
    assert step.comment is None
    assert URL in step.body


def test_a_night_without_a_gate_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="--max-flake-rate"):
        decide_step(make_report({ASCENDING: 1}), True, URL)


def issues(place: Workplace) -> list[dict[str, Any]]:
    return list(place.github.issues.values())


def a_night(place: Workplace, run: dict[str, Any]) -> None:
    place.github.artifacts.clear()
    leave(place, run)
    update_nightly_issue(place.job, SHA)


def test_an_issue_is_opened_kept_up_to_date_and_closed(place: Workplace) -> None:
    a_night(place, BROKEN)
    (issue,) = issues(place)
    assert issue["state"] == "open"
    assert [label["name"] for label in issue["labels"]] == [LABEL]
    assert issue["body"].startswith(MARKER)
    assert "20/60" in issue["body"]
    a_night(place, BROKEN)
    a_night(place, UNDECIDED)
    assert issue["state"] == "open"
    a_night(place, HOLDS)
    assert issue["state"] == "closed"
    assert [text.partition(" ")[0] for text in place.github.by_bot(issue["number"])] == [
        *("Still", "Proven,")
    ]
    assert len(issues(place)) == 1


def test_someone_elses_issue_with_the_marker_is_left_alone(place: Workplace) -> None:
    place.github.issues[3] = {
        "number": 3,
        "state": "open",
        "user": {"login": "stranger", "type": "User"},
        "labels": [{"name": LABEL}],
        "title": "x",
        "body": MARKER,
    }
    a_night(place, HOLDS)
    assert place.github.issues[3]["state"] == "open"
    assert place.github.writes() == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"sha": "9" * 40}, "another commit"),
        ({"ci": None}, "another workflow run"),
        ({"status": "fine"}, "not a harness.run/1"),
    ],
)
def test_a_result_that_is_not_this_nights_moves_nothing(
    place: Workplace, changed: dict[str, Any], says: str
) -> None:
    run = night(20, 60)
    run["run"] |= changed
    with pytest.raises(UsageError, match=says):
        a_night(place, run)
    assert place.github.writes() == []


def test_a_night_that_left_nothing_leaves_the_issue(place: Workplace) -> None:
    with pytest.raises(UsageError, match="left no result"):
        update_nightly_issue(place.job, SHA)


@pytest.mark.parametrize("what", [403, 404, 429, 500, "drop", "garbage", "shape"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", r"/artifacts$"), ("GET", r"/zip$"), ("GET", r"/issues$"), ("POST", r"/issues$")],
)
def test_what_github_fails_to_do_is_one_error(
    place: Workplace, method: str, path: str, what: int | str
) -> None:
    place.github.fail(method, path, what)
    with pytest.raises(HarnessError) as raised:
        a_night(place, BROKEN)
    assert "\n" not in str(raised.value)


def zipped(name: str, text: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, text)
    return file.getvalue()


def a_store(github: GithubFake, run: int, archive: bytes, *, branch: str = "main") -> None:
    """An earlier night and the store it left."""
    at = stamp(datetime.now(UTC) - timedelta(hours=run))
    github.runs.append(
        {
            "id": run,
            "workflow": "flake-nightly.yml",
            "event": "schedule",
            "display_title": "flake-nightly",
            "status": "completed",
            "conclusion": "failure",
            "created_at": at,
            "head_branch": branch,
            "actor": {"login": "someone"},
        }
    )
    made = github.new_id()
    github.archives[made] = archive
    listed = {"id": made, "name": "harness-store", "expired": False}
    github.artifacts[run] = [listed | {"size_in_bytes": len(archive)}]


@pytest.fixture
def nights(place: Workplace) -> Workplace:
    """The nightly workflow's measuring job."""
    ref = place.environment["GITHUB_WORKFLOW_REF"]
    place.environment["GITHUB_WORKFLOW_REF"] = ref.replace("rerun-test", "flake-nightly")
    return place


def test_the_newest_store_of_this_branch_is_restored(nights: Workplace, tmp_path: Path) -> None:
    a_store(nights.github, 1, zipped("store.sqlite", b"evil"), branch="evil")
    a_store(nights.github, 2, zipped("store.sqlite", b"newest"))
    a_store(nights.github, 3, zipped("store.sqlite", b"older"))
    restore_store(nights.job, "main", tmp_path / "kept")
    assert (tmp_path / "kept/store.sqlite").read_bytes() == b"newest"
    assert nights.summary()


def test_the_first_night_says_that_there_is_none(nights: Workplace, tmp_path: Path) -> None:
    restore_store(nights.job, "main", tmp_path / "kept")
    assert "No earlier night left a store." in nights.summary()
    assert not (tmp_path / "kept/store.sqlite").exists()


@pytest.mark.parametrize(
    "archive",
    [zipped("../store.sqlite", b"x"), zipped("other.sqlite", b"x"), b"no zip", b""],
    ids=["traversal", "another file", "no zip", "empty"],
)
def test_an_archive_that_holds_no_store_is_not_unpacked(
    nights: Workplace, tmp_path: Path, archive: bytes
) -> None:
    a_store(nights.github, 2, archive)
    try:
        restore_store(nights.job, "main", tmp_path / "kept")
    except HarnessError as error:
        assert "\n" not in str(error)
    else:
        assert nights.summary()
    assert not (tmp_path / "kept/store.sqlite").exists()
    assert not (tmp_path / "store.sqlite").exists()


def test_an_api_that_fails_does_not_mean_an_empty_store(nights: Workplace, tmp_path: Path) -> None:
    nights.github.fail("GET", r"/runs$", 500)
    with pytest.raises(HarnessError):
        restore_store(nights.job, "main", tmp_path / "kept")
