"""One workflow run of one comment: the bot's two jobs, run in this process or as processes."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.bot.github.environment import JobEnvironment, read_environment
from harness.bot.jobs.measure_outputs import read_outputs
from harness.bot.jobs.parse import parse_comment
from harness.bot.jobs.publish import publish_result
from harness.core.errors import HarnessError
from tests.bot.github_fake import TOKEN, GithubFake
from tests.bot.github_samples import REPOSITORY

HEAD, BASE, FORK_HEAD = "1" * 40, "2" * 40, "3" * 40
PULL, FORK = 7, 8
RUN = 900

POLICY = """
version = 1
default_repeats = 20
default_gpus = 0
[[grant]]
permission = "write"
suites = ["suites"]
repeats = 200
gpus = 2
[[grant]]
author = true
suites = ["suites/test_a.py"]
repeats = 10
gpus = 0
[limits]
minutes = 60
commands_per_day = 6
[limits.user]
gpu_minutes_per_day = 240
active = 1
cooldown_minutes = 5
[limits.pull_request]
gpu_minutes_per_day = 300
active = 2
cooldown_minutes = 0
[runners]
0 = ["ubuntu-24.04"]
2 = ["self-hosted", "gpu-2"]
"""


class Workplace:
    """One workflow run of one comment: its files, and what its jobs did."""

    def __init__(self, github: GithubFake, folder: Path) -> None:
        self.github = github
        self.folder = folder
        self.policy = folder / "harness.toml"
        self.policy.write_text(POLICY)
        self.now = datetime.now(UTC)
        self.comment = 0
        self.environment = {
            "GITHUB_API_URL": github.url,
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_RUN_ID": str(RUN),
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_WORKFLOW_REF": f"{REPOSITORY}/.github/workflows/rerun-test.yml@refs/heads/main",
        }

    @property
    def job(self) -> JobEnvironment:
        return read_environment(self.environment)

    def says(
        self,
        body: str,
        login: str = "maintainer",
        *,
        on: int = PULL,
        kind: str = "User",
        action: str = "created",
        is_pull: bool = True,
    ) -> None:
        """Someone comments: GitHub has the comment, and the event of it lies in its file."""
        user = {"login": login, "type": kind}
        self.comment = self.github.add_comment(on, body, user, self.now)
        event = {
            "action": action,
            "comment": self.github.comments[self.comment],
            "issue": {"number": on, **({"pull_request": {"url": "x"}} if is_pull else {})},
        }
        (self.folder / "event.json").write_text(json.dumps(event))

    def parse(self) -> dict[str, str]:
        """Run the parsing job; a failure of it is the output `error`. Answers its outputs."""
        try:
            parse_comment(self.job, self.policy)
        except HarnessError as error:
            return {**self.outputs(), "error": str(error)}
        return self.outputs()

    def publish(self, **left: str) -> str | None:
        """Run the publishing job. Answers its error, None where it has none."""
        given = {"SHA": HEAD, "BASE": "", "MEASURE_RESULT": "success", "EXIT": "0"}
        given["ARGUMENTS"] = self.outputs().get("arguments", "")
        given |= left
        try:
            publish_result(self.job, read_outputs(given))
        except HarnessError as error:
            return str(error)
        return None

    def process(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`harness bot ...` as a process of its own."""
        code = "from harness.cli.main import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, "bot", *command],
            env=os.environ | self.environment | more,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def outputs(self) -> dict[str, str]:
        """The step's outputs, read as the runner reads them."""
        file = self.folder / "output"
        lines = iter(file.read_text().splitlines() if file.exists() else [])
        found = {}
        for line in lines:
            name, several, mark = line.partition("<<")
            if not several:
                name, _, value_of_one_line = line.partition("=")
                found[name] = value_of_one_line
                continue
            value = []
            while (part := next(lines)) != mark:
                value.append(part)
            found[name] = "\n".join(value)
        return found

    def answer(self, on: int = PULL) -> str:
        """The bot's one answer to a command; empty if there is none."""
        bodies = [body for body in self.github.by_bot(on) if " comment=" in body.partition("\n")[0]]
        assert len(bodies) <= 1, bodies
        return bodies[0] if bodies else ""

    def notices(self, on: int = PULL) -> list[str]:
        """The comments that tell of an end."""
        return [body for body in self.github.by_bot(on) if " notice=" in body.partition("\n")[0]]

    def summary(self) -> str:
        """The job's summary."""
        file = self.folder / "summary"
        return file.read_text() if file.exists() else ""


def suites(*paths: str) -> dict[str, Any]:
    """A tree of plain files."""
    return {"truncated": False, "tree": [{"path": p, "mode": "100644"} for p in paths]}
