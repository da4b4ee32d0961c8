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


PROVIDERS = (
    CiProvider(
        "github", "GITHUB_ACTIONS", "GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"
    ),
    CiProvider("gitlab", "GITLAB_CI", "CI_PROJECT_PATH", "CI_PIPELINE_ID", "CI_JOB_ID"),
    CiProvider(
        "buildkite",
        "BUILDKITE",
        "BUILDKITE_PIPELINE_SLUG",
        "BUILDKITE_BUILD_NUMBER",
        "BUILDKITE_RETRY_COUNT",
    ),
    CiProvider("jenkins", "JENKINS_URL", "JOB_NAME", "BUILD_NUMBER"),
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
