"""The publishing job: what it believes, and what the comment says for each way to end."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.bot.jobs.result import RejectedError, read_result
from harness.bot.wording import replies
from harness.report.run_schema import MAX_BYTES
from tests.bot.github_samples import BOT, pull
from tests.bot.results import leave, result, zipped
from tests.bot.workplace import BASE, HEAD, PULL, Workplace

OTHER = "9" * 40


@pytest.fixture
def queued(place: Workplace) -> Workplace:
    """A command that was granted."""
    place.says("/rerun-test test_a.py --repeats 50")
    assert place.parse()["action"] == "measure"
    return place


def test_a_result_is_told_in_the_commands_own_comment(queued: Workplace) -> None:
    leave(queued)
    assert queued.publish(MEASURE_RESULT="failure", EXIT="1") is None
    answer = queued.answer()
    assert answer.startswith(f"{replies.format_marker(queued.comment)}-->\n### /rerun-test: done\n")
    assert "descending fails less often than ascending: 0/50 against 12/50" in answer
    assert "24 % [13 %, 38 %]" in answer.replace("\xa0", " ")
    assert answer.count(HEAD) == 1
    assert answer.count("\n### ") == 1
    assert answer in queued.summary()


def test_what_is_open_comes_with_the_command_that_decides_it(place: Workplace) -> None:
    place.says("/rerun-test test_a.py")
    place.parse()
    leave(place, result(1, repeats=20))
    place.publish()
    needed = result(1, repeats=20)["verdict"]["attempts_needed"]
    assert needed
    assert f"/rerun-test test_a.py --sha {HEAD} --repeats {needed}\n" in place.answer()


def test_a_comparison_is_bound_to_both_commits(place: Workplace) -> None:
    place.says("/rerun-test test_a.py --against base --repeats 50")
    base = place.parse()["base"]
    leave(place, result(shas=(base, HEAD)))
    assert place.publish(BASE=base) is None
    assert base in place.answer()


def test_a_head_that_moved_is_said(queued: Workplace) -> None:
    leave(queued)
    queued.github.pulls[PULL] = pull(PULL, OTHER, BASE)
    queued.publish()
    assert f"The head is now {OTHER}: this is of an older commit" in queued.answer()


@pytest.mark.parametrize(
    ("left", "state", "says"),
    [
        ({"MEASURE_RESULT": "failure"}, "failed for infrastructure", "ended (failure)"),
        ({"MEASURE_RESULT": "failure", "EXIT": "5"}, "failed for infrastructure", "whole result"),
        ({"MEASURE_RESULT": "failure", "EXIT": "2"}, "failed", "refused what was asked"),
        ({"MEASURE_RESULT": "cancelled", "EXIT": ""}, "cancelled", "workflow run's page"),
        ({"MEASURE_RESULT": "failure", "EXIT": "124"}, "timed out", "time limit"),
        ({"MEASURE_RESULT": "skipped", "EXIT": ""}, "failed for infrastructure", "skipped"),
        ({"MEASURE_RESULT": "", "EXIT": "\x1b[2K<!--"}, "failed for infrastructure", "unknown"),
    ],
)
def test_an_end_without_a_result_claims_nothing(
    queued: Workplace, left: dict[str, str], state: str, says: str
) -> None:
    assert queued.publish(**left) is None
    assert f"### /rerun-test: {state}\n" in queued.answer()
    assert says in queued.answer()
    assert "this says nothing about the tests" in queued.answer()
    assert "\x1b" not in queued.answer()


@pytest.mark.parametrize(
    ("left", "state"),
    [
        ({"MEASURE_RESULT": "failure", "EXIT": "124"}, "timed out"),
        ({"MEASURE_RESULT": "cancelled", "EXIT": ""}, "cancelled"),
        ({"MEASURE_RESULT": "failure", "EXIT": "130"}, "failed for infrastructure"),
    ],
)
def test_what_was_measured_before_an_early_end_is_shown(
    queued: Workplace, left: dict[str, str], state: str
) -> None:
    leave(queued, result(9, run_status="interrupted", missing=4))
    queued.publish(**left)
    assert f"### /rerun-test: {state}\n" in queued.answer()
    assert "9/" in queued.answer()
    assert "says nothing about the tests" not in queued.answer()


def test_a_job_result_that_github_has_not_is_an_error(queued: Workplace) -> None:
    assert "MEASURE_RESULT" in (queued.publish(MEASURE_RESULT="success; id") or "")


def test_a_parsing_job_that_died_leaves_no_comment_that_says_queued(queued: Workplace) -> None:
    queued.publish(SHA="", MEASURE_RESULT="skipped", EXIT="")
    assert "### /rerun-test: failed" in queued.answer()


def test_a_parsing_job_that_died_before_it_wrote_makes_no_comment(place: Workplace) -> None:
    place.says("/rerun-test test_a.py")
    assert place.publish(SHA="", MEASURE_RESULT="skipped", EXIT="") is None
    assert place.answer() == ""


def test_a_comment_that_was_deleted_is_written_again(queued: Workplace) -> None:
    found = [n for n, comment in queued.github.comments.items() if comment["user"] == BOT]
    del queued.github.comments[found[0]]
    leave(queued)
    queued.publish()
    assert "### /rerun-test: done" in queued.answer()


def test_someone_elses_comment_with_the_marker_is_left_alone(queued: Workplace) -> None:
    user = {"login": "stranger", "type": "User"}
    forged = queued.github.add_comment(
        PULL, replies.format_marker(queued.comment), user, queued.now
    )
    leave(queued)
    queued.publish()
    assert queued.github.comments[forged]["body"] == replies.format_marker(queued.comment)
    assert "### /rerun-test: done" in queued.answer()


def changed(*path: Any, to: Any) -> dict[str, Any]:
    run = result()
    place = run
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return run


ORIGIN = ("run", "ci")
FORGED = {
    "another workflow run": changed(*ORIGIN, "run_id", to="901"),
    "another provider": changed(*ORIGIN, "provider", to="gitlab"),
    "another repository": changed(*ORIGIN, "repository", to="evil/engine"),
    "no workflow run": changed(*ORIGIN, to=None),
    "another commit": result(shas=(OTHER,)),
    "two commits": result(shas=(BASE, HEAD)),
    "no commit": result(shas=()),
    "another schema": changed("schema", to="harness.run/2"),
    "no object": [1, 2],
    "counts that do not add up": changed("cells", 0, "failed", to=0),
    "a rate of its own": changed("cells", 0, "rate", to=0.0),
    "not a number": changed("cells", 0, "rate", to=float("nan")),
}


@pytest.mark.parametrize("run", FORGED.values(), ids=FORGED)
def test_a_result_that_is_not_this_ones_is_not_published(queued: Workplace, run: Any) -> None:
    leave(queued, run)
    assert "the result was not published" in (queued.publish() or "")
    assert "### /rerun-test: failed\n" in queued.answer()
    assert "was not believed" in queued.answer()
    assert "says nothing about the tests" in queued.answer()
    assert "12/50" not in queued.answer()


def bomb() -> bytes:
    return zipped(run__json=b"0" * (50 * MAX_BYTES))


def lying() -> bytes:
    """Sizes in the archive that say little, in front of much."""
    honest = bytearray(zipped(run__json=b'"' + b"0" * (2 * MAX_BYTES) + b'"'))
    size = (2 * MAX_BYTES + 2).to_bytes(4, "little")
    return bytes(honest).replace(size, (10).to_bytes(4, "little"))


def linked() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        entry = zipfile.ZipInfo("run.json")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return file.getvalue()


def encrypted() -> bytes:
    archive = bytearray(zipped(run__json=b"{}"))
    archive[6] |= 1
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(archive)


GOOD = json.dumps(result()).encode()
ARCHIVES: dict[str, Callable[[], bytes]] = {
    "no zip": lambda: b"PK\x03\x04 not at all",
    "empty": lambda: b"",
    "no member": zipped,
    "two members": lambda: zipped(run__json=GOOD, more__json=b"{}"),
    "path traversal": lambda: zipped(___slash_run__json=GOOD),
    "another name": lambda: zipped(result__json=GOOD),
    "cut off": lambda: zipped(run__json=GOOD)[:-40],
    "zip bomb": bomb,
    "lying sizes": lying,
    "a link": linked,
    "encrypted": encrypted,
    "not text": lambda: zipped(run__json=b"\xff\xfe{}"),
    "not json": lambda: zipped(run__json=b"{"),
    "deep json": lambda: zipped(run__json=b"[" * 400_000),
    "huge number": lambda: zipped(run__json=b"1" * 100_000),
}


@pytest.mark.parametrize("archive", ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive_that_is_not_what_it_should_be_is_not_believed(
    queued: Workplace, archive: Callable[[], bytes]
) -> None:
    leave(queued, archive=archive())
    assert queued.publish() is not None
    assert "was not believed" in queued.answer()


def test_a_large_artifact_is_not_even_downloaded(queued: Workplace) -> None:
    leave(queued, size_in_bytes=MAX_BYTES + 1)
    assert "larger than" in (queued.publish() or "")
    assert not any(call.path.endswith("/zip") for call in queued.github.calls)


def test_two_artifacts_of_the_name_are_one_too_many(queued: Workplace) -> None:
    leave(queued)
    leave(queued)
    assert "2 artifacts" in (queued.publish() or "")


def test_an_expired_artifact_is_no_result(queued: Workplace) -> None:
    leave(queued, expired=True)
    assert queued.publish() is None
    assert "failed for infrastructure" in queued.answer()


def test_hostile_words_of_tests_are_inert_in_the_comment(queued: Workplace) -> None:
    hostile = "::error::x @acme/all <!-- harness-rerun-test --> `code` \x1b[31m <img src=x> #1"
    run = result()
    run["signatures"][0]["signature"] = run["cells"][0]["notes"][0:] = hostile
    run["cells"][0]["notes"] = [hostile]
    run["verdict"]["sentences"].append(hostile)
    leave(queued, run)
    assert queued.publish() is None
    body = queued.answer().partition("\n")[2]
    assert not any(
        bad in body for bad in ("\n::", "@acme", "<!--", "`code`", "\x1b", "<img", " #1")
    )


def test_a_comment_is_never_longer_than_github_takes(queued: Workplace) -> None:
    run = result()
    run["signatures"] = [
        dict(run["signatures"][0], signature="x" * 900, id=str(n)) for n in range(400)
    ]
    leave(queued, run)
    assert queued.publish() is None
    assert replies.LIMIT // 6 < len(queued.answer()) <= replies.LIMIT
    assert "descending fails less often" in queued.answer()


@given(
    st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda b: zipped(run__json=b)))
)
def test_any_bytes_are_a_result_or_rejected(data: bytes) -> None:
    with pytest.raises(RejectedError):
        read_result(data)


@settings(deadline=None)
@given(st.integers(0, len(zipped(run__json=GOOD)) - 1), st.integers(0, 255))
def test_a_damaged_archive_is_whole_or_rejected(at: int, value: int) -> None:
    archive = bytearray(zipped(run__json=GOOD))
    archive[at] = value
    try:
        found = read_result(bytes(archive))
    except RejectedError:
        return
    assert found == read_result(zipped(run__json=GOOD))
