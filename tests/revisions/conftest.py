"""Real git repositories in temporary folders, and the real command run inside them."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.driver.state import locate_store

PROJECT = Path(__file__).parents[2]


class Repository:
    """A git repository under test."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Somebody")
        self.git("config", "user.email", "somebody@example.org")
        self.git("config", "commit.gpgsign", "false")
        self.commit({".gitignore": ".harness/\n__pycache__/\n"})

    @property
    def store(self) -> Path:
        """Where runs of its revisions are kept: outside of it."""
        with contextlib.chdir(self.path):
            return Path(locate_store(of_revisions=True))

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, files: dict[str, str | None]) -> None:
        """Write files, and remove those that are None."""
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)

    def commit(self, files: dict[str, str | None]) -> str:
        """Commit these files on top of what is checked out; the new commit's full name."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a change")
        return self.git("rev-parse", "HEAD")

    def worktrees(self) -> list[str]:
        """Every worktree that git knows, beside the checkout itself."""
        lines = self.git("worktree", "list", "--porcelain").splitlines()
        found = [line.removeprefix("worktree ") for line in lines if line.startswith("worktree ")]
        return [path for path in found if Path(path) != self.path]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@dataclass
class Done:
    """A finished command."""

    code: int
    out: str
    err: str
    run: dict[str, Any]

    def cell(self, suite: str, label: str) -> dict[str, Any]:
        """The one cell of this suite and revision."""
        (found,) = (
            cell
            for cell in self.run["cells"]
            if cell["suite"] == suite and cell["axes"]["rev"] == label
        )
        return dict(found)


Harness = Callable[..., Done]


def command(bin_folder: Path) -> list[str]:
    """The console script of a harness installed elsewhere: the working folder is not on its path.

    `python -c` would put it there, and then a checkout's own `harness` would be the one that runs.
    """
    script = bin_folder / "harness"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("from harness.cli.main import main\nmain()\n")
    return [sys.executable, str(script)]


def environ(**more: str) -> dict[str, str]:
    hidden = ("CI", "HARNESS_", "RAY_", "PYTEST_", "GIT_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return plain | {"COLUMNS": "200", "PYTHONPATH": str(PROJECT)} | more


def run_harness(repository: Repository, bin_folder: Path, *arguments: object, **more: str) -> Done:
    """Run the command in the repository; where it writes run.json, with its content."""
    target = bin_folder / "out.json"
    target.unlink(missing_ok=True)
    extra = ["--json", str(target)] if arguments[0] == "run" else []
    done = subprocess.run(
        [*command(bin_folder), *map(str, arguments), *extra],
        cwd=repository.path,
        env=environ(**more),
        capture_output=True,
        text=True,
        timeout=115,
    )
    run = json.loads(target.read_text()) if target.exists() else {}
    return Done(done.returncode, done.stdout, done.stderr, run)
