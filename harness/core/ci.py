"""Which CI job a process runs in: one row per provider, read from environment variables. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CiProvider:
    """How a provider's jobs are recognised; fields but `name` are names of variables."""

    name: str
    marker: str
    """Set in every job of the provider, and nowhere else."""
    repository: str
    run_id: str
    run_attempt: str = ""
    """Empty if the provider does not count attempts."""
    temporary: str = ""
    """Names a folder of the job, outside its checkout; empty if the provider has none."""


PROVIDERS = (
    CiProvider(
        "github",
        "GITHUB_ACTIONS",
        "GITHUB_REPOSITORY",
        "GITHUB_RUN_ID",
        "GITHUB_RUN_ATTEMPT",
        temporary="RUNNER_TEMP",
    ),
    CiProvider("gitlab", "GITLAB_CI", "CI_PROJECT_PATH", "CI_PIPELINE_ID", "CI_JOB_ID"),
    CiProvider(
        "buildkite",
        "BUILDKITE",
        "BUILDKITE_PIPELINE_SLUG",
        "BUILDKITE_BUILD_NUMBER",
        "BUILDKITE_RETRY_COUNT",
    ),
    CiProvider("jenkins", "JENKINS_URL", "JOB_NAME", "BUILD_NUMBER", temporary="WORKSPACE_TMP"),
)


def detect_ci_job(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return `run.ci` of run.json: the CI run that this run is part of, None outside of CI.

    Who reads a `run.json` later compares it with the CI run that it was downloaded from.
    """
    for provider in PROVIDERS:
        if environment.get(provider.marker):
            return {
                "provider": provider.name,
                "repository": environment.get(provider.repository, ""),
                "run_id": environment.get(provider.run_id, ""),
                "run_attempt": environment.get(provider.run_attempt, ""),
            }
    return None


def find_temporary_folder(environment: Mapping[str, str]) -> str | None:
    """Return the temporary folder that the CI provider gives this job; None if it gives none."""
    for provider in PROVIDERS:
        if environment.get(provider.marker) and provider.temporary:
            return environment.get(provider.temporary) or None
    return None
