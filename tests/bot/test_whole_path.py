"""From comment to verdict as processes: the workflow's own scripts and a real measurement between.

GitHub's part (checking out, handing outputs on, uploading) is done by this file; what the jobs run
is read from rerun-test.yml.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bot.github_samples import pull, push
from tests.bot.results import leave
from tests.bot.workplace import PULL, RUN, Workplace, suites

PROJECT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((PROJECT / ".github/workflows/rerun-test.yml").read_text())
SUITE = "suites/test_a.py"

PASSES = "import toy\n\ndef test_it():\n    assert toy.WORKS\n"
#: A head that fails and says otherwise, in every way that its tests can reach.
FORGES = """
import json, os, subprocess, sys, time
from pathlib import Path
import toy

RESULT = Path(os.environ["RUNNER_TEMP"]) / "result" / "run.json"
FORGED = json.dumps({"schema": "harness.run/1", "verdict": {"outcome": "passed"}})

def test_it():
    print("::set-output name=exit::0\\n::stop-commands::x\\n### /rerun-test: done @everyone")
    for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"):
        assert name not in os.environ, "a file that speaks to the runner"
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(FORGED)
    later = f"import time; time.sleep(20); open({str(RESULT)!r}, 'w').write({FORGED!r})"
    subprocess.Popen([sys.executable, "-c", later], start_new_session=True)
    assert toy.WORKS, "`truth` <!-- hidden --> @everyone"
"""
FAKE_HARNESS = "import sys\nprint('all passed')\nsys.exit(0)\n"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a change")
    return git(folder, "rev-parse", "HEAD")


@dataclass
class Runner:
    """Runs the steps that have a script, as the runner of GitHub Actions does."""

    place: Workplace
    needs: dict[str, Any] = field(default_factory=dict)

    @property
    def temp(self) -> Path:
        return self.place.folder / "temp"

    def step(self, job: str, name: str) -> subprocess.CompletedProcess[str]:
        """Run one step's script. Its outputs are in the workplace's file."""
        (step,) = (one for one in WORKFLOW["jobs"][job]["steps"] if one.get("name") == name)
        given = {key: self.value(text) for key, text in step.get("env", {}).items()}
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("CI", "PYTEST_", "RAY_"))}
        plain.pop("PYTHONPATH", None)
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.place.folder / step.get("working-directory", "."),
            env={
                **plain,
                **{k: v for k, v in self.place.environment.items() if k != "GITHUB_TOKEN"},
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "PATH": f"{self.temp}/venv/bin:{os.environ['PATH']}",
                "RUNNER_TEMP": str(self.temp),
                **given,
            },
            capture_output=True,
            text=True,
            timeout=100,
        )

    def value(self, text: str) -> str:
        """An `env:` value: an expression of the few kinds that the workflow uses."""
        found = re.fullmatch(r"\$\{\{ ([a-z_.]+) \}\}", text)
        assert found, text
        if found[1] == "github.token":
            return self.place.environment["GITHUB_TOKEN"]
        value: Any = {"needs": self.needs}
        for part in found[1].split("."):
            value = value.get(part, "")
        return str(value)

    def finish(self, job: str, done: subprocess.CompletedProcess[str]) -> dict[str, str]:
        """Hand the step's outputs to later jobs."""
        outputs = self.place.outputs()
        named = WORKFLOW["jobs"][job]["outputs"]
        result = "success" if done.returncode == 0 else "failure"
        kept = {key: outputs.get(key, "") for key in named}
        self.needs[job] = {"outputs": kept, "result": result}
        (self.place.folder / "output").unlink(missing_ok=True)
        return kept


@pytest.fixture
def runner(place: Workplace) -> Runner:
    """A runner on which the harness of this checkout is installed, as the install step would."""
    made = Runner(place)
    script = made.temp / "venv/bin/harness"
    script.parent.mkdir(parents=True)
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[0] = {str(PROJECT)!r}\n"
        "from harness.cli.main import main\nmain()\n"
    )
    script.chmod(0o755)
    (place.folder / ".github").mkdir()
    place.policy.rename(place.folder / ".github/harness.toml")
    return made


def pull_request(place: Workplace, head_files: dict[str, str]) -> tuple[str, str]:
    """A repository with a base that passes and a head on top of it, checked out in `work`."""
    work = place.folder / "work"
    work.mkdir()
    git(work, "init", "--quiet", "--initial-branch=main")
    git(work, "config", "user.name", "Somebody")
    git(work, "config", "user.email", "somebody@example.org")
    base = commit(work, {".gitignore": ".harness/\n", SUITE: PASSES, "toy.py": "WORKS = True\n"})
    head = commit(work, {"toy.py": "WORKS = False\n", **head_files})
    github = place.github
    github.pulls[PULL] = pull(PULL, head, base)
    github.activities = {"topic": [push(head, place.now - timedelta(hours=1))]}
    github.merge_bases = {(base, head): base}
    github.trees = dict.fromkeys((base, head), suites(SUITE, "toy.py"))
    return base, head


def whole_path(runner: Runner) -> tuple[dict[str, str], str]:
    """All three jobs. Answers the parser's outputs and the measuring step's log."""
    place = runner.place
    parsed = runner.step("parse", "Parse")
    assert parsed.returncode == 0, parsed.stderr
    granted = runner.finish("parse", parsed)
    assert granted["action"] == "measure", place.answer()
    measured = runner.step("measure", "Measure")
    measured_outputs = runner.finish("measure", measured)
    assert measured_outputs["exit"] == str(measured.returncode), measured.stderr
    leave(place, json.loads((runner.temp / "result/run.json").read_text()))
    published = runner.step("publish", "Publish")
    assert published.returncode == 0, published.stderr
    return granted, measured.stdout + measured.stderr


def test_a_comment_ends_in_a_verdict_that_is_bound_to_both_commits(runner: Runner) -> None:
    place = runner.place
    base, head = pull_request(place, {})
    place.says("/rerun-test test_a.py --repeats 5 --order ascending --tp 1 --against base")
    granted, log = whole_path(runner)
    assert (granted["base"], granted["sha"]) == (base, head)
    assert "attempts" in log
    answer = place.answer().replace("\xa0", " ")
    assert "### /rerun-test: done" in answer
    assert f"head {head[:8]} fails more often than base {base[:8]}: 5/5 against 0/5" in answer
    assert f"base <code>{base}</code>, head <code>{head}</code>" in answer
    assert "recorded" in answer or "no graph captured" in answer
    summary = place.summary()
    assert "5/5 against 0/5" in summary
    # What the workflow uploads lies outside the measured checkout.
    assert (runner.temp / "harness/store.sqlite").is_file()
    assert len(list(runner.temp.glob("harness/runs/*/*/rank0.log"))) == 10
    assert (runner.temp / "result/report.html").is_file()
    assert not (place.folder / "work/.harness").exists()


def test_a_pull_request_that_forges_its_result_does_not_get_it_published(runner: Runner) -> None:
    place = runner.place
    _, head = pull_request(
        place,
        {
            SUITE: FORGES,
            "harness/__init__.py": FAKE_HARNESS,
            "harness/cli/main.py": FAKE_HARNESS,
            "sitecustomize.py": FAKE_HARNESS,
            "yaml.py": FAKE_HARNESS,
        },
    )
    place.says("/rerun-test test_a.py --repeats 3 --order ascending --tp 1")
    whole_path(runner)
    answer = place.answer().replace("\xa0", " ")
    assert "### /rerun-test: done" in answer
    assert "3 of 3 attempts failed" in answer or "3/3 valid attempts failed" in answer
    assert f"commit <code>{head}</code>" in answer
    assert "@everyone" not in answer
    assert "hidden -->" not in answer
    result = json.loads((runner.temp / "result/run.json").read_text())
    assert result["run"]["ci"]["run_id"] == str(RUN)
    assert result["cells"][0]["failed"] == 3
