"""From arms to findings to the class of a mechanism, and what a scoreboard counts."""

import random
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.diagnosis.arms import ARMS
from harness.diagnosis.findings import Finding, judge_arm
from harness.diagnosis.mechanisms import BY_NAME, MECHANISMS, name_mechanism
from harness.diagnosis.scoreboard import Score, Scoreboard, count_right
from harness.diagnosis.truth import Truth, read_truth

ROOT = Path(__file__).parents[2]
TRUTHS = [
    truth
    for path in sorted((ROOT / "suites" / "faults").glob("test_*.py"))
    if (truth := read_truth(path))
]
OTHERS = frozenset({"device"}) | {arm.name for arm in ARMS} - {"poison", "canary", "blocking"}

#: Arms that do not exist for suites without drafts, with one rank, or without these variables.
ABSENT = {name: {"chain"} for name in BY_NAME} | {
    "undersized-buffer": set(),
    "out-of-bounds-write": set(),
    "pool-aliasing": set(),
}


def make_findings(name: str) -> dict[str, Finding]:
    """Return the findings that a class is expected to give; open arms fail."""
    one = BY_NAME[name]
    arms = OTHERS - ABSENT[name]
    found = {arm: Finding.PASSES if arm in one.passes else Finding.FAILS for arm in arms}
    return found | dict.fromkeys(one.rises, Finding.RISES)


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.fault)
def test_the_pattern_that_a_fault_is_expected_to_show_names_its_class(truth: Truth) -> None:
    told = name_mechanism(make_findings(truth.mechanism), truth.kind)
    assert told.named == truth.mechanism, told


def test_every_class_names_arms_that_exist() -> None:
    known = {arm.name for arm in ARMS} | {"device"}
    for one in MECHANISMS:
        assert one.passes | one.open | one.needs | one.rises <= known


def test_what_speaks_against_a_class_is_told() -> None:
    told = name_mechanism(make_findings("frozen-value"), "wrong-output")
    assert "short passes" in told.excluded["freed-input"]
    assert "kind wrong-output" in told.excluded["rank-divergence"]


def test_without_findings_no_class_that_needs_one_fits() -> None:
    fitting = name_mechanism({}, "wrong-output").fitting
    assert {BY_NAME[name].needs for name in fitting} == {frozenset()}


def test_that_nothing_matters_is_not_said_while_an_arm_never_failed() -> None:
    findings = make_findings("narrow-threshold") | {"eager": Finding.UNDECIDED}
    told = name_mechanism(findings, "wrong-output")
    assert told.named == ""
    assert told.excluded["narrow-threshold"] == ("eager never failed",)


def test_an_arm_that_never_fails_passes_once_that_would_be_seldom_by_chance() -> None:
    assert judge_arm([True] * 6, [False] * 6, 13) is Finding.PASSES
    assert judge_arm([True] * 3, [False] * 3, 13) is Finding.UNDECIDED
    assert judge_arm([True, False, False] * 4, [False] * 12, 13) is Finding.UNDECIDED


def test_an_arm_that_fails_fails_alike_unless_its_rate_is_shown_to_differ() -> None:
    assert judge_arm([True] * 6, [True, False] * 3, 13) is Finding.FAILS
    assert judge_arm([False] * 12, [True] * 12, 13) is Finding.RISES
    assert judge_arm([True] * 12, [True] + [False] * 11, 13) is Finding.LESS


def test_the_level_holds_over_all_looks_and_arms() -> None:
    """Every arm is the unchanged cell again: at most 5 % of diagnoses claim a difference."""
    arms, chance = 8, random.Random(5)

    def claims() -> bool:
        base = [chance.random() < 0.5 for _ in range(24)]
        own = [[chance.random() < 0.5 for _ in base] for _ in range(arms)]
        seen = [judge_arm(base, arm, arms) for arm in own]
        return any(one in (Finding.PASSES, Finding.LESS, Finding.RISES) for one in seen)

    assert sum(claims() for _ in range(60)) <= 6


def test_an_attempt_that_infrastructure_ended_speaks_for_no_difference() -> None:
    assert judge_arm([True] * 6, [None] * 6, 13) is Finding.UNDECIDED


def test_a_suite_without_truth_is_no_known_fault() -> None:
    assert read_truth(ROOT / "suites/faults/test_clean_control.py") is None


def test_an_incomplete_truth_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "test_x.py"
    path.write_text("truth = dict(fault='X')\n")
    with pytest.raises(UsageError, match="mechanism"):
        read_truth(path)


def make_score(**found: object) -> Score:
    truth = Truth("s.py", "B3", "wrong-output", "order", False, "frozen-value", "", {})
    given = {"kinds": {"wrong-output": 3}, "attempts": 4, "first_failure": 2}
    return Score(truth, **{**given, **found})  # type: ignore[arg-type]


def test_a_scoreboard_is_good_if_all_were_detected_and_the_control_stayed_clean() -> None:
    assert Scoreboard((make_score(),), 0, 20, 20).is_good
    assert not Scoreboard((make_score(),), 1, 20, 20).is_good
    assert not Scoreboard((make_score(kinds={"nan": 1}),), 0, 20, 20).is_good
    assert not Scoreboard((make_score(first_failure=0, kinds={}),), 0, 20, 20).is_good


def test_a_factor_is_right_if_it_is_among_the_named() -> None:
    assert make_score(factors=("order",)).is_factor_right
    assert make_score(factors=()).is_factor_right is False
    assert make_score().is_factor_right is None
    assert count_right([True, False, None]) == "1/2"
    assert Scoreboard((make_score(),), 0, 20, 20).as_dict()["schema"] == "harness.calibration/1"
