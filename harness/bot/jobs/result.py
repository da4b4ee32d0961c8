"""The result that the measuring job left: hostile until checked. Nothing is unpacked to disk."""

import io
import json
import zipfile
import zlib
from typing import Any

from harness.analysis.report_model import Report
from harness.bot.github.client import GithubRepository
from harness.report.run_json import read_run_json
from harness.report.run_schema import MAX_BYTES, find_problems

#: The artifact's name, and that of its one member.
ARTIFACT = "run-json"
MEMBER = "run.json"

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_NAMED = 3


class RejectedError(Exception):
    """The result cannot be believed. The message quotes nothing of it that is not plain."""


def fetch_result(github: GithubRepository, workflow_run: int) -> Report | None:
    """Return the report that a workflow run left, None if it left none.

    The caller checks whether it is of the commits that were asked for. Raise RejectedError if it
    cannot be believed, GithubError.
    """
    found = [one for one in github.list_artifacts(workflow_run, ARTIFACT) if not one.expired]
    if not found:
        return None
    if len(found) > 1:
        raise RejectedError(f"{len(found)} artifacts are called {ARTIFACT}")
    if found[0].size_in_bytes > MAX_BYTES:
        raise RejectedError(f"the artifact is larger than {MAX_BYTES} bytes")
    return read_result(github.download_artifact(found[0].id))


def read_result(archive: bytes) -> Report:
    """Return the report in an artifact's zip file. Raise RejectedError."""
    text = _read_member(archive)
    try:
        run = json.loads(
            text.decode(), parse_constant=_refuse_constant, object_pairs_hook=_read_object
        )
    except (ValueError, RecursionError):
        raise RejectedError(f"{MEMBER} is not JSON") from None
    found = find_problems(run)
    if found:
        raise RejectedError(f"{MEMBER} is not a harness.run/1: {'; '.join(found[:_NAMED])}")
    return read_run_json(run)


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; two values of one key would be one here and another for the next reader."""
    read = dict(pairs)
    if len(read) < len(pairs):
        raise ValueError("a key is there twice")
    return read


def _read_member(archive: bytes) -> bytes:
    if len(archive) > MAX_BYTES:
        raise RejectedError(f"the artifact is larger than {MAX_BYTES} bytes")
    try:
        text = _unzip(archive)
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
    ):
        raise RejectedError("the artifact is not a plain zip file") from None
    if len(text) > MAX_BYTES:
        raise RejectedError(f"{MEMBER} is larger than {MAX_BYTES} bytes")
    return text


def _unzip(archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        if opened.namelist() != [MEMBER]:
            raise RejectedError(f"the artifact does not hold {MEMBER} alone")
        # What GitHub's own upload makes; other methods fail in ways of their own on bad data.
        if opened.getinfo(MEMBER).compress_type not in _METHODS:
            raise RejectedError(f"{MEMBER} is compressed in another way than deflate")
        with opened.open(MEMBER) as file:
            # The sizes that the archive states are not believed: reading stops at the limit.
            return file.read(MAX_BYTES + 1)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def check_origin(report: Report, repository: str, workflow_run: int) -> None:
    """Raise RejectedError unless the result is of this repository and workflow run."""
    origin = report.run.ci
    found = origin and (origin.provider, origin.repository, origin.run_id)
    if found != ("github", repository, str(workflow_run)):
        raise RejectedError(f"{MEMBER} is of another workflow run")
