"""A repository with two pull requests on a GitHub of loopback."""

import functools
import secrets
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.bot.github import transport as edge
from tests.bot.github_fake import TOKEN, GithubFake
from tests.bot.github_samples import pull, push
from tests.bot.results import SEED
from tests.bot.workplace import BASE, FORK, FORK_HEAD, HEAD, PULL, Workplace, suites

_context = functools.cache(ssl.create_default_context)


@pytest.fixture
def github(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[GithubFake]:
    """The API, with retries that do not wait; at the end no request was wrong, no token seen."""
    monkeypatch.setattr(edge, "WAITS_S", (0.001, 0.001))
    monkeypatch.setattr(secrets, "randbelow", lambda _most: SEED)
    # Certificates, which loopback needs none of, take 40 ms to read.
    monkeypatch.setattr(ssl, "create_default_context", _context)
    fake = GithubFake()
    fake.permissions = {
        "maintainer": {"permission": "write", "role_name": "maintain"},
        "other": {"permission": "write", "role_name": "write"},
        "author": {"permission": "read", "role_name": "read"},
        "stranger": {"permission": "read", "role_name": "read"},
    }
    fake.pulls = {
        PULL: pull(PULL, HEAD, BASE),
        FORK: pull(FORK, FORK_HEAD, BASE, head_repo="author/engine"),
    }
    fake.pull_commits = {PULL: ["4" * 40, HEAD], FORK: [FORK_HEAD]}
    before = datetime.now(UTC) - timedelta(hours=1)
    fake.activities = {"topic": [push(HEAD, before)]}
    fake.merge_bases = {(BASE, HEAD): "5" * 40}
    tree = suites("suites/test_a.py", "suites/deep/test_b.py", "docs/test_c.py", "setup.py")
    fake.trees = dict.fromkeys((HEAD, FORK_HEAD, "4" * 40, "5" * 40), tree)
    yield fake
    fake.close()
    assert fake.violations == []
    told = [*capfd.readouterr(), *(comment["body"] for comment in fake.comments.values())]
    assert not any(TOKEN in text for text in told)


@pytest.fixture
def place(github: GithubFake, tmp_path: Path) -> Workplace:
    """The workflow run."""
    return Workplace(github, tmp_path)
