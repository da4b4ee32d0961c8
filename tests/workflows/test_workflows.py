"""What must hold of every workflow and of the action, by their linters and by reading them."""

import copy
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.bot.github.history import parse_run_name, read_measurement
from harness.bot.github.shapes import WorkflowJob, WorkflowRun
from harness.bot.policy.policy_file import read_policy

PROJECT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))
ACTION = PROJECT / "action.yml"
RERUN = yaml.safe_load((PROJECT / ".github/workflows/rerun-test.yml").read_text())
#: WorkflowJobs that hold a token which can write.
PRIVILEGED = {("rerun-test.yml", name) for name in ("parse", "watch", "publish")} | {
    ("flake-nightly.yml", "report")
}


def tool(name: str, *arguments: object, text: str | None = None) -> str:
    """What a linter says; it must find nothing."""
    done = subprocess.run(
        [TOOLS / name, *map(str, arguments)],
        input=text,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def jobs() -> Iterator[tuple[str, str, Any]]:
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield path.name, name, job


def steps() -> Iterator[tuple[str, Any]]:
    for file, name, job in jobs():
        for number, step in enumerate(job["steps"]):
            yield f"{file} {name} {step.get('name', number)}", step
    for step in read(ACTION)["runs"]["steps"]:
        yield f"action.yml {step['name']}", step


STEPS = list(steps())
SCRIPTS = [(where, step) for where, step in STEPS if "run" in step]


def test_zizmor_finds_nothing_and_ignores_one_thing() -> None:
    said = tool("zizmor", "--offline", "--color", "never", ".github", "action.yml")
    assert "No findings to report" in said
    assert "(1 ignored" in said
    ignored = [p.name for p in [*WORKFLOWS, ACTION] if "zizmor: ignore" in p.read_text()]
    assert ignored == ["rerun-test.yml"]


def test_zizmor_would_find_an_injection(tmp_path: Path) -> None:
    broken = (PROJECT / ".github/workflows/rerun-test.yml").read_text()
    broken = broken.replace("run: harness bot parse", "run: echo ${{ github.event.comment.body }}")
    (tmp_path / "broken.yml").write_text(broken)
    done = subprocess.run(
        [TOOLS / "zizmor", "--offline", tmp_path / "broken.yml"], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "template-injection" in done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_of_the_published_schema(path: Path) -> None:
    tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)


def test_the_action_is_of_the_published_schema() -> None:
    tool("check-jsonschema", "--builtin-schema", "vendor.github-actions", ACTION)


@pytest.mark.parametrize(("where", "step"), SCRIPTS, ids=[where for where, _ in SCRIPTS])
def test_shellcheck_finds_nothing_in_a_script(where: str, step: Any) -> None:
    assert step.get("shell", "bash") == "bash", where
    tool("shellcheck", "--shell=bash", "-", text=step["run"])


def interpolates(step: Any) -> bool:
    return "${{" in step["run"]


def test_no_script_holds_an_expression() -> None:
    assert [where for where, step in SCRIPTS if interpolates(step)] == []
    assert interpolates({"run": "echo ${{ github.event.comment.body }}"})


def is_pinned(uses: str) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", uses) is not None


def test_every_foreign_action_is_pinned_to_a_commit() -> None:
    used = [(where, step["uses"]) for where, step in STEPS if "uses" in step]
    assert [one for one in used if not is_pinned(one[1])] == []
    assert not is_pinned("actions/checkout@v4")


@pytest.mark.parametrize(("file", "name", "job"), list(jobs()), ids=lambda v: str(v)[:24])
def test_every_job_is_bounded_and_says_its_rights(file: str, name: str, job: Any) -> None:
    assert read(PROJECT / ".github/workflows" / file)["permissions"] == {}
    assert "timeout-minutes" in job, name
    assert job["permissions"], name
    for step in job["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_rights_are_no_more_than_the_documents_say() -> None:
    held = {(file, name): job["permissions"] for file, name, job in jobs()}
    write = {where for where, rights in held.items() if "write" in rights.values()}
    assert write == PRIVILEGED
    assert held["rerun-test.yml", "measure"] == {"contents": "read"}
    assert held["flake-nightly.yml", "measure"] == {"contents": "read", "actions": "read"}
    documented = (PROJECT / "docs/how-to/bot.md").read_text()
    for name in ("parse", "watch", "publish"):
        row = next(line for line in documented.split("\n") if line.startswith(f"| `{name}` |"))
        named = dict(re.findall(r"`([a-z-]+): (read|write)`", row))
        assert named == held["rerun-test.yml", name]


def takes_foreign_code(job: Any) -> bool:
    """Whether a job can come to hold anything but the default branch's files."""
    for step in job["steps"]:
        uses, given = step.get("uses", ""), step.get("with", {})
        if uses.startswith("actions/checkout@") and {"ref", "repository"} & set(given):
            return True
        if uses.startswith(("actions/download-artifact@", "actions/cache")) or "cache" in given:
            return True
    return False


def test_jobs_that_can_write_never_hold_a_pull_requests_files() -> None:
    held = [where for *where, job in jobs() if tuple(where) in PRIVILEGED]
    assert len(held) == len(PRIVILEGED)
    assert [n for f, n, job in jobs() if (f, n) in PRIVILEGED and takes_foreign_code(job)] == []
    broken = copy.deepcopy(RERUN["jobs"]["parse"])
    broken["steps"][0]["with"]["ref"] = "${{ github.event.pull_request.head.sha }}"
    assert takes_foreign_code(broken)


def test_the_measuring_job_gets_no_secret() -> None:
    text = yaml.safe_dump(RERUN["jobs"]["measure"])
    assert "secrets." not in text
    assert "github.token" not in text


def test_only_new_comments_with_the_command_start_anything() -> None:
    triggers = RERUN[True]  # YAML 1.1 reads `on` as true
    assert triggers == {"issue_comment": {"types": ["created"]}}
    assert "concurrency" not in RERUN
    condition = RERUN["jobs"]["parse"]["if"]
    assert "startsWith(github.event.comment.body, '/rerun-test')" in condition
    assert "comment.user.type == 'User'" in condition
    assert "issue.pull_request" in condition
    assert "parse" in RERUN["jobs"]["measure"]["needs"]


def filled(text: str, **values: str) -> str:
    for name, value in values.items():
        text = re.sub(rf"\$\{{\{{ [a-z.]*\.{name} \}}\}}", value, text)
    return text


def test_names_are_what_the_bot_reads_its_state_from() -> None:
    title = RERUN["run-name"].replace("github.event.issue.number", "x.issue")
    title = title.replace("github.event.comment.user.login", "x.login")
    title = title.replace("github.event.comment.id", "x.id")
    title = filled(title, issue="7", login="some-one", id="99")
    given = {"id": 1, "display_title": title, "status": "completed", "conclusion": "success"}
    at = {"created_at": "2026-11-23T10:00:00Z", "head_branch": "main"}
    asked = parse_run_name(WorkflowRun.model_validate_json(json.dumps(given | at)))
    assert asked is not None
    assert (asked.pull_request, asked.login, asked.comment) == (7, "some-one", 99)
    job = {
        "name": filled(RERUN["jobs"]["measure"]["name"], gpus="2", minutes="60"),
        "status": "completed",
        "conclusion": "success",
        "started_at": "2026-11-23T10:00:00Z",
        "completed_at": "2026-11-23T10:30:00Z",
    }
    measured = read_measurement(asked, [WorkflowJob.model_validate_json(json.dumps(job))], 0)
    assert measured.gpu_minutes == 60


def test_privileged_jobs_install_hashed_wheels_only() -> None:
    installs = [
        line.strip()
        for file, name, job in jobs()
        if (file, name) in PRIVILEGED
        for step in job["steps"]
        for line in step.get("run", "").splitlines()
        if "pip install" in line
    ]
    assert len(installs) == 2 * len(PRIVILEGED)
    for line in installs:
        assert "--require-hashes" in line or "--no-deps --no-build-isolation ." in line


def test_hashed_wheels_are_those_of_the_constraints() -> None:
    lines = (PROJECT / ".github/bot-requirements.txt").read_text().splitlines()
    rows = [line for line in lines if not line.startswith("#")]
    form = r"([a-z0-9-]+)==(\S+) --hash=sha256:[0-9a-f]{64}"
    hashed = {found[1]: found[2] for row in rows if (found := re.fullmatch(form, row))}
    assert len(hashed) == len(rows)
    pinned = dict(
        line.lower().replace("_", "-").split("==")
        for line in (PROJECT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    )
    assert {n: v for n, v in hashed.items() if n != "setuptools" and pinned[n] != v} == {}
    wanted = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]["bot"]
    assert {re.split("[<>=]", name)[0] for name in wanted} <= set(hashed)


def test_the_policy_of_this_repository_is_valid() -> None:
    policy = read_policy(PROJECT / ".github/harness.toml")
    for grant in policy.grant:
        assert all((PROJECT / place).exists() for place in grant.suites)


INTERRUPTED = """#!/bin/bash
trap 'echo "{}" > "$RUNNER_TEMP/result/run.json"; exit 130' INT
touch "$RUNNER_TEMP/started"
for _ in {1..600}; do sleep 0.05; done
"""


def test_a_cancelled_measurement_is_interrupted_and_leaves_its_result(tmp_path: Path) -> None:
    """GitHub sends the interrupt to the step's shell alone."""
    # A shell's background job, and all that it starts, would ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    (step,) = (one for one in RERUN["jobs"]["measure"]["steps"] if one.get("id") == "measure")
    script = tmp_path / "venv/bin/harness"
    script.parent.mkdir(parents=True)
    script.write_text(INTERRUPTED)
    script.chmod(0o755)
    given = {"RUNNER_TEMP": tmp_path, "GITHUB_OUTPUT": tmp_path / "out", "MINUTES": "1"}
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env=os.environ | {name: str(value) for name, value in given.items()} | {"ARGUMENTS": "x"},
    )
    try:
        end = time.monotonic() + 20
        while not (tmp_path / "started").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        shell.send_signal(signal.SIGINT)
        assert shell.wait(20) == 130
    finally:
        shell.kill()
    assert (tmp_path / "result/run.json").exists()
    assert (tmp_path / "out").read_text() == "exit=130\n"
