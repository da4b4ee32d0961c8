"""Who may have what: each rule, at its edge."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness.bot.command.requests import Measure, Target
from harness.bot.github.shapes import GitTree, GitTreeEntry
from harness.bot.policy import access
from harness.bot.policy.access import Asker, Terms
from harness.bot.policy.policy_file import Policy
from harness.bot.policy.rules import RefusedError, Rule
from harness.bot.policy.usage import Usage

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SHA = "a" * 40
POLICY: dict[str, Any] = {
    "version": 1,
    "default_gpus": 0,
    "default_repeats": 20,
    "grant": [
        {"permission": "write", "suites": ["suites", "tests/gpu/"], "repeats": 200, "gpus": 2},
        {"users": ["Ada"], "suites": ["suites/test_a.py"], "repeats": 500, "gpus": 1},
        {"author": True, "suites": ["suites"], "repeats": 20, "gpus": 0},
    ],
    "limits": {
        "minutes": 60,
        "commands_per_day": 10,
        "user": {"gpu_minutes_per_day": 240, "active": 1, "cooldown_minutes": 5},
        "pull_request": {"gpu_minutes_per_day": 480, "active": 2, "cooldown_minutes": 0},
    },
    "runners": {"0": ["ubuntu-24.04"], "1": ["gpu-1"], "2": ["self-hosted", "gpu-2"]},
}


@pytest.fixture
def policy() -> Policy:
    return Policy.model_validate(POLICY)


def asker(login: str = "eve", role: str = "read", *, is_author: bool = False) -> Asker:
    return Asker(login, role, is_author)


def asked(**given: Any) -> Measure:
    return Measure((Target("suites/test_a.py"),), **given)


def terms(policy: Policy, who: Asker, what: Measure) -> Terms:
    return access.decide_terms(policy, access.find_grants(policy, who, False), what, what.targets)


def rule_of(refusal: pytest.ExceptionInfo[RefusedError]) -> Rule:
    return refusal.value.rule


def test_a_role_grants_to_that_role_and_to_higher_ones(policy: Policy) -> None:
    for role in ("write", "maintain", "admin"):
        assert access.find_grants(policy, asker(role=role), False)
    for role in ("none", "read", "triage"):
        with pytest.raises(RefusedError) as refusal:
            access.find_grants(policy, asker(role=role), False)
        assert rule_of(refusal) is Rule.ACCESS


def test_a_named_user_needs_no_role_and_case_does_not_matter(policy: Policy) -> None:
    assert access.find_grants(policy, asker("ADA"), False) == [policy.grant[1]]


def test_an_author_is_granted_on_a_branch_of_this_repository_alone(policy: Policy) -> None:
    author = asker(is_author=True)
    assert access.find_grants(policy, author, False) == [policy.grant[2]]
    with pytest.raises(RefusedError):
        access.find_grants(policy, author, True)


@pytest.mark.parametrize(
    ("role_name", "permission", "role"),
    [
        ("maintain", "write", "maintain"),
        ("triage", "read", "triage"),
        ("release-crew", "write", "write"),
        (None, "admin", "admin"),
        ("odd", "odder", "none"),
    ],
)
def test_a_custom_role_counts_as_its_base(role_name: str, permission: str, role: str) -> None:
    assert access.choose_role(role_name, permission) == role


def test_a_fork_takes_a_maintainer_who_names_the_commit() -> None:
    access.check_fork(asker(role="write"), asked(sha=SHA), True)
    access.check_fork(asker(), asked(), False)
    refused = [
        (asker(role="triage"), asked(sha=SHA)),
        (asker(role="admin"), asked()),
        (asker(role="admin"), asked(sha=SHA[:39])),
    ]
    for who, what in refused:
        with pytest.raises(RefusedError) as refusal:
            access.check_fork(who, what, True)
        assert rule_of(refusal) is Rule.FORK


def test_a_head_counts_only_if_it_was_there_before_the_comment() -> None:
    access.check_head(SHA, (SHA, NOW - timedelta(seconds=1)), NOW)
    late = (SHA, NOW), (SHA, NOW + timedelta(seconds=1))
    for last in (None, ("b" * 40, NOW - timedelta(hours=1)), *late):
        with pytest.raises(RefusedError) as refusal:
            access.check_head(SHA, last, NOW)
        assert rule_of(refusal) is Rule.HEAD


@pytest.mark.parametrize(
    ("given", "rule"), [("b" * 40, Rule.SHA), ("b" * 7, Rule.SHA), ("a" * 39, Rule.AMBIGUOUS)]
)
def test_a_named_commit_must_be_exactly_one_of_the_pull_request(given: str, rule: Rule) -> None:
    commits = {SHA, "a" * 39 + "b"}
    assert access.resolve_sha(SHA, commits) == SHA
    with pytest.raises(RefusedError) as refusal:
        access.resolve_sha(given, commits)
    assert rule_of(refusal) is rule


def tree(*paths: str, mode: str = "100644", truncated: bool = False) -> GitTree:
    return GitTree(truncated=truncated, tree=[GitTreeEntry(path=path, mode=mode) for path in paths])


def resolve(policy: Policy, name: str, files: GitTree) -> str:
    access.check_tree(files.truncated)
    return access.resolve_targets([Target(name, "::A")], files.plain_files, policy.grant)[0].text


def test_a_bare_name_is_the_one_granted_file_that_has_it(policy: Policy) -> None:
    files = tree("suites/deep/test_a.py", "docs/test_a.py", "suites/test_b.py")
    assert resolve(policy, "test_a.py", files) == "suites/deep/test_a.py::A"


def test_a_name_with_several_files_lists_them(policy: Policy) -> None:
    with pytest.raises(RefusedError, match=r"suites/a/test_a\.py, suites/b/test_a\.py") as refusal:
        resolve(policy, "test_a.py", tree("suites/b/test_a.py", "suites/a/test_a.py"))
    assert rule_of(refusal) is Rule.AMBIGUOUS


def test_hostile_file_names_are_not_listed(policy: Policy) -> None:
    files = tree("suites/`x`@all/test_a.py", "suites/ok/test_a.py")
    assert resolve(policy, "test_a.py", files) == "suites/ok/test_a.py::A"


@pytest.mark.parametrize("mode", ["120000", "040000", "160000"])
def test_links_folders_and_submodules_are_no_suites(policy: Policy, mode: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        resolve(policy, "suites/test_a.py", tree("suites/test_a.py", mode=mode))
    assert rule_of(refusal) is Rule.NOT_FOUND


def test_a_list_of_files_that_is_cut_short_proves_nothing(policy: Policy) -> None:
    with pytest.raises(RefusedError) as refusal:
        resolve(policy, "test_a.py", tree("suites/test_a.py", truncated=True))
    assert rule_of(refusal) is Rule.TREE


def test_what_is_not_said_is_the_policys_default(policy: Policy) -> None:
    granted = terms(policy, asker(role="write"), asked())
    assert granted == Terms(repeats=20, gpus=0, minutes=60, runner=("ubuntu-24.04",))
    assert granted.gpu_minutes == 60


def test_one_grant_must_cover_all_that_is_asked(policy: Policy) -> None:
    ada = asker("ada", "write")
    assert terms(policy, ada, asked(repeats=500, gpus=1)).repeats == 500
    assert terms(policy, ada, asked(repeats=200, gpus=2)).gpus == 2
    with pytest.raises(RefusedError):
        terms(policy, ada, asked(repeats=500, gpus=2))


@pytest.mark.parametrize(
    ("what", "rule"),
    [
        (asked(repeats=201), Rule.REPEATS),
        (asked(gpus=3), Rule.GPUS),
        (asked(gpus=1, tp=2), Rule.GPUS),
        (asked(gpus=0, tp=5), Rule.TP),
        (Measure((Target("docs/test_a.py"),)), Rule.SUITES),
        (Measure((Target("suites_of_mine/test_a.py"),)), Rule.SUITES),
    ],
)
def test_what_no_grant_covers_is_refused_by_its_rule(
    policy: Policy, what: Measure, rule: Rule
) -> None:
    with pytest.raises(RefusedError) as refusal:
        terms(policy, asker(role="write"), what)
    assert rule_of(refusal) is rule


def test_a_number_of_gpus_without_a_runner_is_refused() -> None:
    fewer = Policy.model_validate(POLICY | {"runners": {"0": ["ubuntu-24.04"]}})
    with pytest.raises(RefusedError, match="there are some with 0"):
        terms(fewer, asker(role="write"), asked(gpus=1))


def check_usage(policy: Policy, usage: Usage) -> None:
    access.check_usage(policy.limits.user, usage, Terms(20, 2, 60, ("x",)), NOW, "eve")


@pytest.mark.parametrize(
    ("usage", "rule"),
    [
        (Usage(0, 1, None), Rule.ACTIVE),
        (Usage(121, 0, None), Rule.BUDGET),
        (Usage(0, 0, NOW - timedelta(minutes=4, seconds=59)), Rule.COOLDOWN),
    ],
)
def test_what_is_used_up_is_refused(policy: Policy, usage: Usage, rule: Rule) -> None:
    with pytest.raises(RefusedError) as refusal:
        check_usage(policy, usage)
    assert rule_of(refusal) is rule


def test_the_last_of_a_budget_is_granted(policy: Policy) -> None:
    check_usage(policy, Usage(120, 0, NOW - timedelta(minutes=5)))
