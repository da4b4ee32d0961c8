"""What GitHub's API answers, made by hand."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

REPOSITORY = "acme/engine"
BOT = {"login": "github-actions[bot]", "type": "Bot"}


def stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def pull(
    number: int,
    head: str,
    base: str,
    *,
    author: str = "author",
    head_repo: str | None = REPOSITORY,
    state: str = "open",
    branch: str = "topic",
) -> dict[str, Any]:
    """A pull request as GitHub answers it."""
    repo = {"full_name": head_repo} if head_repo else None
    return {
        "number": number,
        "state": state,
        "user": {"login": author, "type": "User"},
        "head": {"sha": head, "ref": branch, "repo": repo},
        "base": {"sha": base, "ref": "main", "repo": {"full_name": REPOSITORY}},
    }


def workflow_run(number: int, title: str, status: str, *, ago: timedelta) -> dict[str, Any]:
    """A run of rerun-test.yml. `status` is a status, or the conclusion of a completed run."""
    active = status in ("queued", "in_progress")
    return {
        "id": number,
        "workflow": "rerun-test.yml",
        "event": "issue_comment",
        "display_title": title,
        "status": status if active else "completed",
        "conclusion": None if active else status,
        "created_at": stamp(datetime.now(UTC) - ago),
        "actor": {"login": _find_actor(title)},
    }


def _find_actor(title: str) -> str:
    found = re.search(r" by (\S+) ", title)
    return found[1] if found else "someone"


def push(sha: str, at: datetime) -> dict[str, Any]:
    """A push to a branch."""
    return {"id": 1, "after": sha, "timestamp": stamp(at), "activity_type": "push"}
