"""The API of loopback refuses what GitHub would refuse: a fake that takes all proves nothing."""

import http.client
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from githubkit import GitHub, TokenAuthStrategy
from githubkit.exception import GitHubException, RequestError, RequestFailed

from tests.bot.github_fake import TOKEN, GithubFake
from tests.bot.github_samples import BOT, REPOSITORY, pull, workflow_run

WHERE: dict[str, Any] = dict(zip(("owner", "repo"), REPOSITORY.split("/"), strict=True))
ROOT = f"/repos/{REPOSITORY}"
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "test",
}


@pytest.fixture
def fake() -> Iterator[GithubFake]:
    """Without the usual assertion at the end: these tests make bad requests on purpose."""
    made = GithubFake()
    made.pulls = {7: pull(7, "1" * 40, "2" * 40)}
    made.comments[5] = {"id": 5, "issue": 7, "body": "x", "user": {"login": "a", "type": "User"}}
    yield made
    made.close()


Client = GitHub[TokenAuthStrategy]


def client(fake: GithubFake, token: str = TOKEN) -> Client:
    return GitHub(TokenAuthStrategy(token), base_url=fake.url, http_cache=False, auto_retry=False)


@pytest.fixture
def good(fake: GithubFake) -> Client:
    return client(fake)


def ask(
    fake: GithubFake, method: str, path: str, body: str | None = None, **headers: str | None
) -> tuple[int, bytes]:
    """One request without a client's care. A header that is None is left out."""
    connection = http.client.HTTPConnection(fake.url.removeprefix("http://"), timeout=10)
    changed = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {name: value for name, value in changed.items() if value is not None}
    connection.request(method, path, body, sent)
    answer = connection.getresponse()
    read = answer.status, answer.read()
    connection.close()
    return read


def test_a_good_request_is_answered_and_noted(fake: GithubFake, good: Client) -> None:
    answer = good.rest.pulls.get(**WHERE, pull_number=7)
    assert answer.json()["head"]["sha"] == "1" * 40
    assert [(call.method, call.path) for call in fake.calls] == [("GET", f"{ROOT}/pulls/7")]
    assert fake.violations == []


def test_another_token_is_refused_and_noted(fake: GithubFake) -> None:
    bad = client(fake, "ghs_another")
    with pytest.raises(RequestFailed):
        bad.rest.pulls.get(**WHERE, pull_number=7)
    assert fake.violations == ["InvalidError: no token"]


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_may_be_left_out(fake: GithubFake, name: str) -> None:
    left_out = {name.replace("-", "_"): None}
    assert ask(fake, "GET", f"{ROOT}/pulls/7", **left_out)[0] == 400
    assert len(fake.violations) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/repos/other/engine/pulls/7", None),
        ("GET", f"{ROOT}/pulls/seven", None),
        ("GET", f"{ROOT}/pulls/7?ref=main", None),
        ("GET", f"{ROOT}/git/trees/{'1' * 40}", None),
        ("GET", f"{ROOT}/git/trees/main?recursive=1", None),
        ("GET", f"{ROOT}/compare/main...topic", None),
        ("GET", f"{ROOT}/issues/7/comments?since=yesterday", None),
        ("GET", f"{ROOT}/actions/workflows/a.yml/runs?created=today", None),
        ("GET", f"{ROOT}/actions/workflows/a.yml/runs?status=runnning", None),
        ("GET", f"{ROOT}/actions/workflows/a.yml/runs", None),
        ("POST", f"{ROOT}/pulls/7", "{}"),
        ("POST", f"{ROOT}/issues/7/comments", None),
        ("POST", f"{ROOT}/issues/7/comments", "{"),
        ("POST", f"{ROOT}/issues/7/comments", '["body"]'),
        ("POST", f"{ROOT}/issues/7/comments", '{"body": 7}'),
        ("POST", f"{ROOT}/issues/7/comments", '{"body": "x", "mood": "x"}'),
        ("PATCH", f"{ROOT}/issues/comments/5", '{"body": "x"}'),
        ("POST", f"{ROOT}/issues", '{"title": "x"}'),
    ],
)
def test_a_bad_request_is_refused_and_noted(
    fake: GithubFake, method: str, path: str, body: str | None
) -> None:
    assert ask(fake, method, path, body)[0] == 400
    assert len(fake.violations) == 1
    assert fake.by_bot(7) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{ROOT}/issues/7/comments", {"body": "x" * 65_537}),
        (f"{ROOT}/issues/comments/5/reactions", {"content": "applause"}),
    ],
)
def test_what_github_cannot_take_is_422(fake: GithubFake, path: str, body: dict[str, str]) -> None:
    assert ask(fake, "POST", path, json.dumps(body))[0] == 422


def test_lists_come_in_pages_as_githubs_do(fake: GithubFake, good: Client) -> None:
    fake.pull_commits = {7: [f"{n:040x}" for n in range(250)]}
    rest = good.rest
    assert len(rest.pulls.list_commits(**WHERE, pull_number=7).json()) == 30
    sizes, page, more = [], 1, True
    while more:
        answer = rest.pulls.list_commits(**WHERE, pull_number=7, per_page=100, page=page)
        more = f"per_page=100&page={page + 1}" in answer.headers.get("link", "")
        sizes.append(len(answer.json()))
        page += 1
    assert sizes == [100, 100, 50]


def test_lists_inside_an_object_come_in_pages_too(fake: GithubFake, good: Client) -> None:
    for number in range(40):
        fake.runs.append(workflow_run(number + 1, "x", "success", ago=timedelta(hours=1)))
    answer = good.rest.actions.list_workflow_runs(
        **WHERE,
        workflow_id="rerun-test.yml",
        event="issue_comment",
        created=">=2026-01-01T00:00:00Z",
    )
    assert len(answer.json()["workflow_runs"]) == 30
    assert answer.json()["total_count"] == 40
    assert 'rel="next"' in answer.headers["link"]


def test_comments_are_the_bots_and_others_cannot_be_edited(fake: GithubFake, good: Client) -> None:
    good.rest.issues.create_comment(**WHERE, issue_number=7, body="hello")
    assert fake.by_bot(7) == ["hello"]
    assert fake.comments[max(fake.comments)]["user"] == BOT
    with pytest.raises(RequestFailed):
        good.rest.issues.update_comment(**WHERE, comment_id=5, body="forged")
    assert fake.comments[5]["body"] == "x"


def test_a_run_that_has_ended_cannot_be_cancelled(fake: GithubFake) -> None:
    fake.runs = [
        workflow_run(1, "x", "success", ago=timedelta(hours=1)),
        workflow_run(2, "x", "in_progress", ago=timedelta(hours=1)),
    ]
    assert ask(fake, "POST", f"{ROOT}/actions/runs/1/cancel")[0] == 409
    assert ask(fake, "POST", f"{ROOT}/actions/runs/2/cancel")[0] == 202
    assert ask(fake, "POST", f"{ROOT}/actions/runs/3/cancel")[0] == 404
    assert fake.cancelled == [2]


def test_an_artifact_is_fetched_from_elsewhere_without_the_token(
    fake: GithubFake, good: Client
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("run.json", "{}")
    fake.archives[3] = packed.getvalue()
    answer = good.rest.actions.download_artifact(**WHERE, artifact_id=3, archive_format="zip")
    assert answer.content == packed.getvalue()
    assert fake.violations == []


def test_a_token_that_goes_with_the_redirect_is_noted(fake: GithubFake) -> None:
    fake.archives[3] = b"x"
    connection = http.client.HTTPConnection(fake.blobs.removeprefix("http://"), timeout=10)
    connection.request("GET", "/3", headers=HEADERS)
    connection.getresponse().read()
    connection.close()
    assert fake.violations == ["the token went to the artifacts' server"]


@pytest.mark.parametrize("what", [403, 404, 409, 422, 429, 500, 502, "drop"])
def test_a_planned_fault_comes_as_often_as_planned(
    fake: GithubFake, good: Client, what: int | str
) -> None:
    fake.fail("GET", r"/pulls/7$", what, times=2)
    rest = good.rest
    expected = RequestError if what == "drop" else GitHubException
    for _ in range(2):
        with pytest.raises(expected):
            rest.pulls.get(**WHERE, pull_number=7)
    assert rest.pulls.get(**WHERE, pull_number=7).json()["number"] == 7
    assert fake.violations == []


def test_planned_nonsense_is_answered_with_success(fake: GithubFake) -> None:
    fake.fail("GET", r"/pulls/7$", "garbage", times=1)
    fake.fail("GET", r"/pulls/7$", "shape", times=1)
    answers = [ask(fake, "GET", f"{ROOT}/pulls/7") for _ in range(2)]
    assert answers == [(200, b"<html>"), (200, b'{"surprise": [1]}')]


def test_a_routes_own_mistake_is_noted_and_not_taken_for_no_answer(fake: GithubFake) -> None:
    fake.runs = [{"id": 1}]
    path = f"{ROOT}/actions/workflows/a.yml/runs?created=>=2026-01-01T00:00:00Z"
    assert ask(fake, "GET", path)[0] == 400
    assert fake.violations == ["KeyError: 'workflow'"]


def test_times_are_the_servers(fake: GithubFake, good: Client) -> None:
    good.rest.issues.create_comment(**WHERE, issue_number=7, body="hello")
    written = datetime.fromisoformat(fake.comments[max(fake.comments)]["created_at"])
    assert abs(datetime.now(UTC) - written) < timedelta(seconds=30)
