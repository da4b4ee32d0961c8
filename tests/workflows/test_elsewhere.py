"""The files for other CIs: their schemas, their scripts, and runs that say which CI made them."""

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.core.ci import PROVIDERS, detect_ci_job
from tests.workflows.test_workflows import PROJECT, tool

FILES = PROJECT / "docs/how-to/ci"
SUITE = "def test_it():\n    assert {}\n"


def read_gitlab() -> list[str]:
    job = yaml.safe_load((FILES / "gitlab-ci.yml").read_text())["flake-rate"]
    return list(job["script"])


def read_buildkite() -> list[str]:
    (step,) = yaml.safe_load((FILES / "buildkite.yml").read_text())["steps"]
    commands = step["commands"]
    assert not re.search(r"(?<!\$)\$(?!\$)", "".join(commands)), "filled in by Buildkite"
    return [command.replace("$$", "$") for command in commands]


def read_jenkins() -> list[str]:
    blocks = re.findall(r"'''(.*?)'''", (FILES / "Jenkinsfile").read_text(), re.DOTALL)
    return [textwrap.dedent(block.partition("\n")[2]) for block in blocks]


@dataclass(frozen=True)
class Elsewhere:
    """Another CI: how its file is read, and what its jobs find in the environment."""

    read: Callable[[], list[str]]
    environment: dict[str, str]
    run_id: str = "77"


CIS = {
    "gitlab": Elsewhere(
        read_gitlab,
        {"GITLAB_CI": "true", "CI_PROJECT_PATH": "acme/engine", "CI_PIPELINE_ID": "77"},
    ),
    "buildkite": Elsewhere(
        read_buildkite,
        {
            "BUILDKITE": "true",
            "BUILDKITE_PIPELINE_SLUG": "acme/engine",
            "BUILDKITE_BUILD_NUMBER": "77",
        },
    ),
    "jenkins": Elsewhere(
        read_jenkins,
        {"JENKINS_URL": "https://ci.example/", "JOB_NAME": "acme/engine", "BUILD_NUMBER": "77"},
    ),
}


def test_every_provider_has_its_file_and_its_row() -> None:
    assert {provider.name for provider in PROVIDERS} == {"github", *CIS}
    page = (PROJECT / "docs/how-to/ci.md").read_text()
    assert {path.name for path in FILES.iterdir()} == set(re.findall(r"\(ci/([^)]+)\)", page))


@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.gitlab-ci", "gitlab-ci.yml"), ("vendor.buildkite", "buildkite.yml")],
)
def test_a_file_is_of_its_cis_schema(schema: str, file: str) -> None:
    tool("check-jsonschema", "--builtin-schema", schema, FILES / file)


def test_the_jenkinsfile_is_balanced_and_declares_what_it_must() -> None:
    text = (FILES / "Jenkinsfile").read_text()
    plain = re.sub(r"'''.*?'''|'[^'\n]*'|\"[^\"\n]*\"|//[^\n]*", "", text, flags=re.DOTALL)
    for opening, closing in ("{}", "()"):
        assert plain.count(opening) == plain.count(closing)
    for block in ("pipeline", "agent", "stages", "steps", "post"):
        assert re.search(rf"\b{block}\b", plain)


@pytest.mark.parametrize("ci", CIS)
def test_scripts_are_clean(ci: str) -> None:
    joined = "\n".join(CIS[ci].read())
    # SUITES and its like are set elsewhere in the file.
    tool("shellcheck", "--shell=bash", "--exclude=SC2153,SC2154", "-", text=joined)


def make_checkout(folder: Path, passes: bool) -> None:
    script = folder / ".harness-venv/bin/harness"
    script.parent.mkdir(parents=True)
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[0] = {str(PROJECT)!r}\n"
        "from harness.cli.main import main\nmain()\n"
    )
    agent = folder / "bin/buildkite-agent"
    agent.parent.mkdir()
    agent.write_text("#!/bin/bash\ncat > annotated\n")
    for file in (script, agent):
        file.chmod(0o755)
    (folder / "test_it.py").write_text(SUITE.format(passes))


def measure(ci: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the file's scripts but those that install, as its CI does: one after the other."""
    scripts = [s for s in CIS[ci].read() if "pip install" not in s and "-m venv" not in s]
    dropped = tuple(provider.marker for provider in PROVIDERS)
    prefixes = ("CI", "PYTEST_", "RAY_", "GITHUB_", *dropped)
    plain = {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
    path = f"{folder}/bin:{os.environ['PATH']}"
    given = {"PATH": path, "SUITES": "test_it.py", "REPEATS": "2", **CIS[ci].environment}
    return subprocess.run(
        ["bash", "-e", "-c", "\n".join(scripts)],
        cwd=folder,
        env=plain | given,
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize("ci", CIS)
def test_a_job_measures_and_says_which_ci_made_it(ci: str, tmp_path: Path) -> None:
    make_checkout(tmp_path, passes=False)
    done = measure(ci, tmp_path)
    assert done.returncode == 1, done.stderr
    run: dict[str, Any] = json.loads((tmp_path / "run.json").read_text())
    assert sum(cell["failed"] for cell in run["cells"]) > 0
    assert (run["run"]["ci"]["provider"], run["run"]["ci"]["run_id"]) == (ci, "77")
    assert (tmp_path / "junit.xml").exists()
    assert (tmp_path / "annotated").exists() is (ci == "buildkite")


def test_no_ci_is_none() -> None:
    assert detect_ci_job({"PATH": "/bin", "CI": "true"}) is None
