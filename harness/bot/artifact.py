"""The result that the measuring job left: hostile until checked. Nothing is unpacked to disk."""

import io
import json
import zipfile
import zlib
from typing import Any

from harness.report.schema import MAX_BYTES, problems

#: Of the artifact, and its one member.
ARTIFACT = "run-json"
MEMBER = "run.json"

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_NAMED = 3


class RejectedError(Exception):
    """The result cannot be believed. The message quotes nothing of it that is not plain."""


def result_of(archive: bytes) -> dict[str, Any]:
    """The `harness.run/1` object in an artifact's zip file. Raises RejectedError."""
    text = _member(archive)
    try:
        run = json.loads(text.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise RejectedError(f"{MEMBER} is not JSON") from None
    found = problems(run)
    if found:
        raise RejectedError(f"{MEMBER} is not a harness.run/1: {'; '.join(found[:_NAMED])}")
    assert isinstance(run, dict)
    return run


def _member(archive: bytes) -> bytes:
    if len(archive) > MAX_BYTES:
        raise RejectedError(f"the artifact is larger than {MAX_BYTES} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            if opened.namelist() != [MEMBER]:
                raise RejectedError(f"the artifact does not hold {MEMBER} alone")
            # What GitHub's own upload makes; other methods fail in ways of their own on bad data.
            if opened.getinfo(MEMBER).compress_type not in _METHODS:
                raise RejectedError(f"{MEMBER} is compressed in another way than deflate")
            with opened.open(MEMBER) as file:
                # What the archive says of its sizes is not believed: reading stops at the limit.
                text = file.read(MAX_BYTES + 1)
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


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def check_origin(run: dict[str, Any], repository: str, run_id: int) -> None:
    """The result is of this repository and workflow run. Raises RejectedError."""
    origin = run["run"].get("ci") or {}
    if origin.get("repository") != repository or origin.get("run_id") != str(run_id):
        raise RejectedError(f"{MEMBER} is of another workflow run")


def check_bound(run: dict[str, Any], repository: str, run_id: int, sha: str, base: str) -> None:
    """The result is of this repository, workflow run and commits. Raises RejectedError."""
    check_origin(run, repository, run_id)
    measured = [revision["sha"] for revision in run["run"].get("revisions") or []]
    if measured != ([base, sha] if base else [sha]):
        raise RejectedError(f"{MEMBER} is of other commits than {sha}")
