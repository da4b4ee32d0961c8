"""A repository as GitHub's API shows it: plain data that a test edits, and a route per endpoint.

A route refuses what GitHub would refuse, unknown query words and body keys included.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.bot.github_samples import BOT, REPOSITORY, stamp


@dataclass
class Call:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


_STATUSES = [
    *("requested", "waiting", "pending", "queued", "in_progress", "completed"),
    *("success", "failure", "cancelled", "timed_out", "skipped", "neutral", "stale"),
    *("action_required", "startup_failure"),
]


class InvalidError(Exception):
    """A request that GitHub would not take."""


class Repository:
    """The repository. `blobs`: where artifacts are downloaded from."""

    def __init__(self) -> None:
        self.blobs = ""
        self.permissions: dict[str, dict[str, str]] = {}
        self.pulls: dict[int, dict[str, Any]] = {}
        self.pull_commits: dict[int, list[str]] = {}
        self.activities: dict[str, list[dict[str, Any]]] = {}
        """What moved each branch, the newest first."""
        self.trees: dict[str, dict[str, Any]] = {}
        self.merge_bases: dict[tuple[str, str], str] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        self.reactions: list[tuple[int, str]] = []
        self.runs: list[dict[str, Any]] = []
        self.jobs: dict[int, list[dict[str, Any]]] = {}
        self.artifacts: dict[int, list[dict[str, Any]]] = {}
        self.archives: dict[int, bytes] = {}
        self.issues: dict[int, dict[str, Any]] = {}
        self.cancelled: list[int] = []
        self.check_runs: list[dict[str, Any]] = []
        self._next_id = 1000

    def new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def add_comment(self, issue: int, body: str, user: dict[str, str], at: datetime) -> int:
        made = self.new_id()
        self.comments[made] = {
            "id": made,
            "issue": issue,
            "body": body,
            "user": user,
            "created_at": stamp(at),
            "updated_at": stamp(at),
        }
        return made

    def by_bot(self, issue: int) -> list[str]:
        """The bodies of the bot's comments, oldest first."""
        found = [c for c in self.comments.values() if c["issue"] == issue and c["user"] == BOT]
        return [comment["body"] for comment in found]

    def answer(self, call: Call) -> tuple[int, Any]:
        repo = f"/repos/{REPOSITORY}"
        if not call.path.startswith(repo + "/"):
            raise InvalidError(f"another repository: {call.path}")
        for method, pattern, queries, body, handler in _ROUTES:
            found = re.fullmatch(pattern, call.path.removeprefix(repo))
            if found and method == call.method:
                _check_query(call, queries)
                _check_body(call, body)
                return handler(self, call, *found.groups())
        raise InvalidError(f"no such route: {call.method} {call.path}")


def _check_query(call: Call, known: str) -> None:
    unknown = set(call.query) - {*known.split(), "per_page", "page"}
    if unknown:
        raise InvalidError(f"{call.path}: unknown query {sorted(unknown)}")
    if call.query.get("status", "queued") not in _STATUSES:
        raise InvalidError(f"{call.path}: no run has status={call.query['status']}")
    for name in ("since",):
        text = call.query.get(name)
        if text and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text):
            raise InvalidError(f"{call.path}: {name}={text} is no time")
    created = call.query.get("created", ">=2026-01-01T00:00:00Z")
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    if not re.fullmatch(rf">={moment}|{moment}\.\.{moment}", created):
        raise InvalidError(f"{call.path}: created={created}")


def _check_body(call: Call, known: dict[str, type]) -> None:
    body = {} if call.body is None else call.body
    if not isinstance(body, dict):
        raise InvalidError(f"{call.path}: the body is no object")
    wrong = [key for key, value in body.items() if not isinstance(value, known.get(key, ()))]
    if wrong or (call.method == "POST" and set(known) - set(body)):
        raise InvalidError(f"{call.path}: body {sorted(body)} where {sorted(known)} is taken")


def _found(table: dict[Any, Any], key: Any) -> tuple[int, Any]:
    return (200, table[key]) if key in table else (404, {"message": "Not Found"})


def _permission(repository: Repository, _call: Call, login: str) -> tuple[int, Any]:
    return _found(repository.permissions, login)


def _pull(repository: Repository, _call: Call, number: str) -> tuple[int, Any]:
    return _found(repository.pulls, int(number))


def _pull_commits(repository: Repository, _call: Call, number: str) -> tuple[int, Any]:
    return 200, [{"sha": sha} for sha in repository.pull_commits.get(int(number), [])]


def _activity(repository: Repository, call: Call) -> tuple[int, Any]:
    branch = call.query["ref"].removeprefix("refs/heads/")
    return 200, repository.activities.get(branch, [])


def _compare(repository: Repository, _call: Call, base: str, head: str) -> tuple[int, Any]:
    status, sha = _found(repository.merge_bases, (base, head))
    return status, {"merge_base_commit": {"sha": sha}} if status == 200 else sha


def _tree(repository: Repository, call: Call, sha: str) -> tuple[int, Any]:
    if call.query.get("recursive") != "1":
        raise InvalidError("a tree without recursive=1")
    return _found(repository.trees, sha)


def _comments(repository: Repository, call: Call, issue: str) -> tuple[int, Any]:
    since = call.query.get("since", "")
    mine = [c for c in repository.comments.values() if c["issue"] == int(issue)]
    return 200, [c for c in mine if c["updated_at"] >= since]


def _add_comment(repository: Repository, call: Call, issue: str) -> tuple[int, Any]:
    if len(call.body["body"]) > 65_536:
        return 422, {"message": "body is too long"}
    made = repository.add_comment(int(issue), call.body["body"], BOT, datetime.now(UTC))
    return 201, repository.comments[made]


def _comment(repository: Repository, _call: Call, number: str) -> tuple[int, Any]:
    return _found(repository.comments, int(number))


def _edit_comment(repository: Repository, call: Call, number: str) -> tuple[int, Any]:
    comment = repository.comments.get(int(number))
    if comment is None:
        return 404, {"message": "Not Found"}
    if comment["user"] != BOT:
        raise InvalidError(f"comment {number} is not the bot's")
    if len(call.body["body"]) > 65_536:
        return 422, {"message": "body is too long"}
    comment |= {"body": call.body["body"], "updated_at": stamp(datetime.now(UTC))}
    return 200, comment


def _react(repository: Repository, call: Call, number: str) -> tuple[int, Any]:
    if call.body["content"] not in ("eyes", "confused", "-1", "+1", "rocket"):
        return 422, {"message": "no such reaction"}
    if int(number) not in repository.comments:
        return 404, {"message": "Not Found"}
    repository.reactions.append((int(number), call.body["content"]))
    return 201, {"id": repository.new_id(), "content": call.body["content"]}


def _check_run(repository: Repository, call: Call) -> tuple[int, Any]:
    if call.body["conclusion"] not in ("success", "failure", "neutral", "cancelled", "timed_out"):
        return 422, {"message": "no such conclusion"}
    repository.check_runs.append(call.body)
    return 201, {"id": repository.new_id()}


def _runs(repository: Repository, call: Call, workflow: str) -> tuple[int, Any]:
    status, created = call.query.get("status"), call.query["created"]
    since, _, until = created.removeprefix(">=").partition("..")
    found = [
        run
        for run in repository.runs
        if run["workflow"] == workflow
        and run["event"] == call.query.get("event")
        and status in (None, run["status"], run["conclusion"])
        and call.query.get("actor") in (None, run["actor"]["login"])
        and since <= run["created_at"] <= (until or "9")
    ]
    return 200, {"total_count": len(found), "workflow_runs": found}


def _jobs(repository: Repository, _call: Call, run: str) -> tuple[int, Any]:
    found = repository.jobs.get(int(run), [])
    return 200, {"total_count": len(found), "jobs": found}


def _cancel(repository: Repository, _call: Call, run: str) -> tuple[int, Any]:
    known = {one["id"]: one for one in repository.runs}
    if int(run) not in known:
        return 404, {"message": "Not Found"}
    if known[int(run)]["status"] == "completed":
        return 409, {"message": "Cannot cancel a workflow run that is completed"}
    repository.cancelled.append(int(run))
    return 202, {}


def _artifacts(repository: Repository, call: Call, run: str) -> tuple[int, Any]:
    name = call.query.get("name")
    found = [a for a in repository.artifacts.get(int(run), []) if name in (None, a["name"])]
    return 200, {"total_count": len(found), "artifacts": found}


def _download(repository: Repository, _call: Call, artifact: str) -> tuple[int, Any]:
    if int(artifact) not in repository.archives:
        return 404, {"message": "Not Found"}
    return 302, f"{repository.blobs}/{artifact}"


def _issues(repository: Repository, call: Call) -> tuple[int, Any]:
    label, state = call.query.get("labels"), call.query.get("state", "open")
    creator = call.query.get("creator")
    found = [
        issue
        for issue in repository.issues.values()
        if (label is None or label in [one["name"] for one in issue["labels"]])
        and state in ("all", issue["state"])
        and creator in (None, issue["user"]["login"])
    ]
    return 200, found


def _open_issue(repository: Repository, call: Call) -> tuple[int, Any]:
    number = repository.new_id()
    labels = [{"name": name} for name in call.body["labels"]]
    repository.issues[number] = {
        "number": number,
        "state": "open",
        "user": BOT,
        "labels": labels,
        "title": call.body["title"],
        "body": call.body["body"],
    }
    return 201, repository.issues[number]


def _edit_issue(repository: Repository, call: Call, number: str) -> tuple[int, Any]:
    if int(number) not in repository.issues:
        return 404, {"message": "Not Found"}
    repository.issues[int(number)] |= call.body
    return 200, repository.issues[int(number)]


_TEXT: dict[str, type] = {"body": str}
_CHECK_NAMES = ("name", "head_sha", "status", "conclusion", "details_url")
_CHECK_RUN: dict[str, type] = {**dict.fromkeys(_CHECK_NAMES, str), "output": dict}
_Handler = Callable[..., tuple[int, Any]]
_ROUTES: list[tuple[str, str, str, dict[str, type], _Handler]] = [
    ("GET", r"/collaborators/([^/]+)/permission", "", {}, _permission),
    ("GET", r"/pulls/(\d+)", "", {}, _pull),
    ("GET", r"/pulls/(\d+)/commits", "", {}, _pull_commits),
    ("GET", r"/activity", "ref", {}, _activity),
    ("GET", r"/compare/([0-9a-f]{40})\.\.\.([0-9a-f]{40})", "", {}, _compare),
    ("GET", r"/git/trees/([0-9a-f]{40})", "recursive", {}, _tree),
    ("GET", r"/issues/(\d+)/comments", "since", {}, _comments),
    ("POST", r"/issues/(\d+)/comments", "", _TEXT, _add_comment),
    ("GET", r"/issues/comments/(\d+)", "", {}, _comment),
    ("PATCH", r"/issues/comments/(\d+)", "", _TEXT, _edit_comment),
    ("POST", r"/issues/comments/(\d+)/reactions", "", {"content": str}, _react),
    ("POST", r"/check-runs", "", _CHECK_RUN, _check_run),
    ("GET", r"/actions/workflows/([\w.-]+)/runs", "status event created actor", {}, _runs),
    ("GET", r"/actions/runs/(\d+)/jobs", "filter", {}, _jobs),
    ("POST", r"/actions/runs/(\d+)/cancel", "", {}, _cancel),
    ("GET", r"/actions/runs/(\d+)/artifacts", "name direction", {}, _artifacts),
    ("GET", r"/actions/artifacts/(\d+)/zip", "", {}, _download),
    ("GET", r"/issues", "labels state creator", {}, _issues),
    ("POST", r"/issues", "", {"title": str, "body": str, "labels": list}, _open_issue),
    ("PATCH", r"/issues/(\d+)", "", {"title": str, "body": str, "state": str}, _edit_issue),
]
