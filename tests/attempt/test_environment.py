"""Which variables reach a rank, and how each attempt's own are made."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.attempt.environment import EnvironmentRule, select_environment
from harness.attempt.launch import make_environment
from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec, Isolation
from harness.attempt.supervise import Supervisor

PERSON = {"PATH": "/bin", "HOME": "/home/me", "EDITOR": "vi", "TOKENIZERS_PARALLELISM": "false"}
SECRETS = {
    "GITHUB_TOKEN": "a",
    "AWS_ACCESS_KEY_ID": "b",
    "AWS_SECRET_ACCESS_KEY": "c",
    "ACTIONS_ID_TOKEN_REQUEST_URL": "d",
    "GOOGLE_APPLICATION_CREDENTIALS": "e",
    "SSH_AUTH_SOCK": "f",
    "PGPASSWORD": "g",
    "WANDB_API_KEY": "h",
    "PIP_INDEX_URL": "https://me:word@host/simple",
    "DEPLOY": "-----BEGIN OPENSSH PRIVATE KEY-----",
}
RAYS = {"RAY_AUTH_TOKEN": "i", "RAY_ADDRESS": "j", "PYTHONBREAKPOINT": "ray.util.rpdb.set_trace"}


def test_a_persons_run_keeps_all_but_secrets_and_rays_own() -> None:
    chosen = select_environment({**PERSON, **SECRETS, **RAYS}, EnvironmentRule())
    assert chosen.values == PERSON
    assert chosen.withheld == tuple(sorted(SECRETS))


def test_a_breakpoint_that_the_user_chose_stays() -> None:
    mine = {"PYTHONBREAKPOINT": "0"}
    assert select_environment(mine, EnvironmentRule()).values == mine


def test_the_allow_list_drops_what_no_measured_program_needs() -> None:
    rule = EnvironmentRule(allow_list_only=True)
    chosen = select_environment({**PERSON, **SECRETS, **RAYS, "CUDA_HOME": "/cuda"}, rule)
    assert chosen.values.keys() == {"PATH", "HOME", "TOKENIZERS_PARALLELISM", "CUDA_HOME"}
    assert chosen.withheld == tuple(sorted({*SECRETS, "EDITOR"}))


@pytest.mark.parametrize("allow_list_only", [False, True])
def test_pass_env_wins_over_both_rules(allow_list_only: bool) -> None:
    rule = EnvironmentRule(allow_list_only=allow_list_only, passed=("HF_TOKEN", "MY_*"))
    given = {"HF_TOKEN": "x", "MY_FLAG": "1", "GH_TOKEN": "y"}
    assert select_environment(given, rule).values.keys() == {"HF_TOKEN", "MY_FLAG"}


def test_the_list_of_secrets_can_be_extended() -> None:
    rule = EnvironmentRule(secrets=("COMPANY_*",))
    chosen = select_environment({"COMPANY_LOGIN": "x", "PATH": "/bin"}, rule)
    assert chosen.withheld == ("COMPANY_LOGIN",)


def test_an_outer_runs_attempt_is_not_passed_on() -> None:
    outer = {"HARNESS_SEED": "4", "HARNESS_EVENTS_FD": "7", "HARNESS_IS_IN_CI": "1"}
    chosen = select_environment(outer, EnvironmentRule())
    assert chosen.values == {"HARNESS_IS_IN_CI": "1"}


@pytest.fixture
def show(make_spec: Callable[..., AttemptSpec], isolation: Isolation) -> Callable[..., Any]:
    """Run passes.py with this environment; return the record and what its test saw."""

    def run_one(
        environment: dict[str, str], **changes: Any
    ) -> tuple[AttemptRecord, dict[str, str]]:
        spec = make_spec("passes.py", isolation=isolation, **changes)
        settings = SupervisorSettings(
            python=sys.executable,
            isolation=isolation,
            cwd=spec.cwd,
            preload=("pytest",),
            environment=environment,
        )
        supervisor = Supervisor(settings)
        record = supervisor.run(spec, lambda *_: None)
        supervisor.close()
        lines = [line for line in record.log_tails[0].splitlines() if "=" in line]
        return record, dict(line.split("=", 1) for line in lines)

    return run_one


def test_a_rank_sees_what_was_chosen_and_nothing_of_its_supervisor(
    show: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, make_spec: Callable[..., AttemptSpec]
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret-of-the-actor")
    _, seen = show({"PATH": "/bin", "COLOUR": "red"})
    assert seen["COLOUR"] == "red" and "GITHUB_TOKEN" not in seen
    assert seen["PWD"] == str(make_spec().cwd)
    assert not seen.keys() & {"RANK", "WORLD_SIZE", "OMP_NUM_THREADS"}


def test_a_suite_of_the_engine_gets_its_rank_and_one_thread(show: Callable[..., Any]) -> None:
    _, seen = show({}, uses_engine=True)
    assert (seen["RANK"], seen["WORLD_SIZE"], seen["OMP_NUM_THREADS"]) == ("0", "1", "1")


def test_the_hash_seed_is_recorded_and_the_ranks_own(
    show: Callable[..., Any], isolation: Isolation
) -> None:
    record, seen = show({}, seed=2**32 + 7)
    assert seen["PYTHONHASHSEED"] == record.hash_seed
    assert (record.hash_seed == "7") == (isolation == "spawn")


def test_a_rerun_can_ask_for_the_recorded_hash_seed(show: Callable[..., Any]) -> None:
    _, seen = show({}, hash_seed="11")
    assert seen["PYTHONHASHSEED"] == "11"


def test_a_hash_seed_that_the_user_fixed_stays(show: Callable[..., Any]) -> None:
    record, seen = show({"PYTHONHASHSEED": "3"})
    assert seen["PYTHONHASHSEED"] == record.hash_seed == "3"


def test_a_stray_breakpoint_fails_by_its_name(show: Callable[..., Any], tmp_path: Path) -> None:
    suite = tmp_path / "test_stray.py"
    suite.write_text("def test_stray():\n    breakpoint()\n")
    record, _ = show({"PYTEST_ADDOPTS": "-p no:hypothesispytest"}, nodeids=(str(suite),))
    failed = [e for _, e in record.events if e["event"] == "report" and e["outcome"] == "failed"]
    (report,) = failed
    assert report["exc"]["types"][0].endswith("StrayBreakpointError")


@pytest.mark.parametrize(("engine", "device"), [(True, "cpu"), (False, "cuda"), (True, "cuda")])
def test_only_the_engine_on_cuda_is_given_a_context(
    make_spec: Callable[..., AttemptSpec], engine: bool, device: str
) -> None:
    spec = make_spec(uses_engine=engine, device=device)
    given = "HARNESS_OPEN_CONTEXT" in make_environment(spec, 0)
    assert given == (engine and device == "cuda")
