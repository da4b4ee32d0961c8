"""What earlier jobs of the workflow run hand to the publishing job."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.core.errors import UsageError

_RESULTS = ("success", "failure", "cancelled", "skipped", "")


@dataclass(frozen=True, slots=True)
class MeasureJobOutputs:
    """What the parsing job granted, and how the measuring job ended."""

    sha: str
    """Empty if nothing was granted."""
    base: str
    arguments: tuple[str, ...]
    """The granted arguments of `harness run`."""
    job_result: str
    """How the measuring job ended, in GitHub's words."""
    exit_code: str
    """What `harness run` exited with, in the measuring job's words."""


def read_outputs(environment: Mapping[str, str]) -> MeasureJobOutputs:
    """Read them. Raise UsageError for a job result that GitHub does not have."""
    job = environment.get("MEASURE_RESULT", "")
    if job not in _RESULTS:
        raise UsageError("MEASURE_RESULT is none of GitHub's results")
    get = environment.get
    arguments = tuple(get("ARGUMENTS", "").splitlines())
    sha = get("SHA", "")
    if sha and "--" not in arguments:
        raise UsageError("ARGUMENTS lacks what was granted")
    return MeasureJobOutputs(sha, get("BASE", ""), arguments, job, get("EXIT", ""))
