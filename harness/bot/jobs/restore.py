"""`harness bot restore`: the store that an earlier run of this workflow left, to be added to.

Only runs of this workflow file on this branch count: any workflow, a pull request's among them,
may call an artifact what it likes.
"""

import io
import sys
import zipfile
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.bot.github.client import GithubRepository
from harness.bot.github.environment import JobEnvironment
from harness.bot.github.shapes import Artifact, WorkflowRun
from harness.core.errors import StoreError
from harness.core.exits import ExitCode

ARTIFACT = "harness-store"
MEMBERS = {"store.sqlite", "store.sqlite-wal", "store.sqlite-shm"}
#: Of the zip file, and of what is in it, in bytes.
MOST_BYTES = 500_000_000
#: GitHub keeps artifacts no longer, unless done to.
KEPT = timedelta(days=90)
_EVENTS = ("schedule", "workflow_dispatch")
_MOST_RUNS = 30


def restore_store(environment: JobEnvironment, branch: str, folder: Path) -> int:
    """Put the newest kept store into a folder, or say why there is none. Return the exit code.

    A store that cannot be unpacked stays where it is, with its run. Raise GithubError if GitHub
    fails: an empty store must not take the place of earlier nights.
    """
    with environment.open_repository() as github:
        found = _find_newest(github, _list_earlier(environment, github, branch))
        done = _take_over(github, *found, folder) if found else "No earlier night left a store."
    environment.append_summary(done)
    sys.stderr.write(done + "\n")
    return ExitCode.OK


def _list_earlier(
    environment: JobEnvironment, github: GithubRepository, branch: str
) -> list[WorkflowRun]:
    """Return the runs that ended, however they did, newest first."""
    since = datetime.now(UTC) - KEPT
    runs = [
        run
        for event in _EVENTS
        for run in github.list_workflow_runs(environment.workflow, event, since)
    ]
    ended = [
        run
        for run in runs
        if run.status == "completed"
        and run.head_branch == branch
        and run.id != environment.workflow_run
    ]
    return sorted(ended, key=lambda run: run.created_at, reverse=True)


def _find_newest(
    github: GithubRepository, runs: list[WorkflowRun]
) -> tuple[WorkflowRun, Artifact] | None:
    for run in runs[:_MOST_RUNS]:
        for artifact in github.list_artifacts(run.id, ARTIFACT):
            if not artifact.expired:
                return run, artifact
    return None


def _take_over(github: GithubRepository, run: WorkflowRun, artifact: Artifact, folder: Path) -> str:
    """Unpack it. Return what was done."""
    name = f"the store of workflow run {run.id}, {run.created_at:%Y-%m-%d}"
    try:
        if artifact.size_in_bytes > MOST_BYTES:
            raise StoreError(f"it is larger than {MOST_BYTES} bytes")
        unpack_store(github.download_artifact(artifact.id), folder)
    except StoreError as error:
        return f"**Not taken over: {name}: {error}.** It stays there, and a new one begins."
    return f"Taken over: {name}."


def unpack_store(archive: bytes, folder: Path) -> None:
    """Write a store's files out of an artifact's zip file.

    Raise StoreError before anything is written.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            names = opened.namelist()
            if "store.sqlite" not in names or len(set(names)) < len(names) or set(names) - MEMBERS:
                raise StoreError("it holds other files than a store's")
            if sum(info.file_size for info in opened.infolist()) > MOST_BYTES:
                raise StoreError(f"it is larger than {MOST_BYTES} bytes")
            files = {name: opened.read(name) for name in names}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError):
        raise StoreError("it is no plain zip file") from None
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
