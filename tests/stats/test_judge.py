"""A run's verdict: contrasts, gate, sentences, exit code."""

import subprocess
import sys
from dataclasses import replace

import pytest

from harness.core.decision_rule import FIRST_RULE
from harness.core.exits import ExitCode
from harness.stats.contrasts import Finding
from harness.stats.intervals import RateError, StatsError
from harness.stats.judge import is_settled, judge_question
from harness.stats.planned import CellOutcomes, PlannedContrast, Question
from harness.stats.rate_gate import RateGate

ORDER = PlannedContrast("d", "a", "descending", "ascending", "fa3")


def cell(failed: int, passed: int, infra: int = 0, remaining: int = 0) -> CellOutcomes:
    valid = failed + passed
    fails = [i * failed % valid < failed for i in range(valid)]
    return CellOutcomes([*fails, *[None] * infra], remaining)


def test_a_difference_at_a_fixed_number_is_told_with_its_counts() -> None:
    verdict = judge_question(Question((ORDER,)), {"a": cell(2, 48), "d": cell(10, 40)})
    assert verdict.sentences == (
        (
            "descending fails more often than ascending for fa3: 10/50 against 2/50, "
            "difference 16 points [3, 29], p = 0.021 (Boschloo)"
        ),
    )
    assert verdict.exit_code is ExitCode.FAILURES


def test_holm_is_among_all_that_were_planned() -> None:
    more = tuple(PlannedContrast(f"x{i}", "a", f"x{i}", "a") for i in range(2))
    cells = {"a": cell(2, 48), "d": cell(10, 40), "x0": cell(2, 48), "x1": cell(3, 47)}
    verdict = judge_question(Question((ORDER, *more)), cells)
    assert verdict.contrasts[0].finding is Finding.UNDECIDED
    assert verdict.contrasts[0].p_adjusted == pytest.approx(3 * 0.0210, abs=3e-4)


def test_an_undecided_contrast_says_what_would_decide_it() -> None:
    cells = {"a": cell(0, 4), "d": cell(1, 3)}
    fixed = judge_question(Question((ORDER,)), cells)
    assert fixed.sentences == (
        (
            "undecided: descending against ascending for fa3, 1/4 against 0/4; if the truth is 0.2 "
            "against 0, a new run with 33 attempts per cell would decide it with 80 % power"
        ),
    )
    until = judge_question(Question((ORDER,), until_decided=True), cells)
    assert "if the truth is 0.2 against 0, about 3" in until.sentences[0]
    assert "more attempts per cell would decide it with 80 % power" in until.sentences[0]
    assert until.exit_code is ExitCode.UNDECIDED


def test_a_run_until_decided_is_settled_when_e_reaches_its_threshold() -> None:
    question = Question((ORDER,), until_decided=True)
    early = {"a": cell(0, 3, remaining=47), "d": cell(3, 0, remaining=47)}
    late = {"a": cell(0, 10, remaining=40), "d": cell(10, 0, remaining=40)}
    assert (is_settled(question, early), is_settled(question, late)) == (False, True)
    verdict = judge_question(question, late)
    assert (
        "descending fails more often than ascending for fa3: 10/10 against 0/10"
        in verdict.sentences[0]
    )
    assert verdict.exit_code is ExitCode.FAILURES


def test_a_run_that_can_no_longer_decide_is_settled() -> None:
    question = Question((ORDER,), until_decided=True)
    cells = {"a": cell(0, 46, remaining=4), "d": cell(0, 46, remaining=4)}
    assert is_settled(question, cells)
    verdict = judge_question(question, cells)
    assert verdict.contrasts[0].finding is Finding.UNDECIDED
    assert verdict.exit_code is ExitCode.OK


def test_infrastructure_that_could_undo_a_difference_is_a_cannot_say() -> None:
    verdict = judge_question(Question((ORDER,)), {"a": cell(2, 46, 2), "d": cell(10, 38, 2)})
    assert verdict.contrasts[0].finding is Finding.CANNOT_SAY
    assert "4 infrastructure attempts could undo p = 0.0" in verdict.sentences[0]


@pytest.mark.parametrize("until_decided", [True, False])
def test_infrastructure_that_depends_on_the_cell_is_a_cannot_say(until_decided: bool) -> None:
    question = Question((ORDER,), until_decided=until_decided)
    verdict = judge_question(question, {"a": cell(0, 50), "d": cell(40, 0, 10)})
    assert verdict.contrasts[0].finding is Finding.CANNOT_SAY
    assert "infrastructure depends on the cell (10/50 against 0/50" in verdict.sentences[0]


@pytest.mark.parametrize("until_decided", [True, False])
def test_a_cell_of_infrastructure_only_cannot_be_compared(until_decided: bool) -> None:
    question = Question((ORDER,), until_decided=until_decided)
    verdict = judge_question(question, {"a": cell(0, 0, 9), "d": cell(3, 6)})
    assert "cannot compare descending with ascending for fa3: no valid" in verdict.sentences[0]
    assert verdict.exit_code is ExitCode.NO_VALID_ATTEMPT


def test_a_gate_holds_on_enough_clean_attempts_in_every_cell() -> None:
    held = judge_question(Question(gate=0.02), {"a": cell(0, 149), "d": cell(0, 200)})
    assert (held.gate, held.exit_code) == (RateGate.HOLDS, ExitCode.OK)
    assert held.sentences == (
        "every cell fails less often than 2 %: at worst a failed 0/149, at most 2 % (95 %)",
    )
    short = judge_question(Question(gate=0.02), {"a": cell(0, 148), "d": cell(0, 200)})
    assert (short.gate, short.exit_code) == (RateGate.OUT_OF_REACH, ExitCode.UNDECIDED)
    assert short.sentences[0].endswith("149 clean attempts per cell prove it")


def test_a_gate_until_decided_needs_what_its_e_process_takes() -> None:
    question = Question(gate=0.02, until_decided=True)
    held, waiting = {"a": cell(0, 164)}, {"a": cell(0, 149, remaining=300)}
    assert (is_settled(question, held), is_settled(question, waiting)) == (True, False)
    assert judge_question(question, held).gate is RateGate.HOLDS
    verdict = judge_question(question, waiting)
    assert verdict.gate is RateGate.OPEN
    assert "164 clean attempts per cell prove it" in verdict.sentences[0]


@pytest.mark.parametrize("until_decided", [False, True])
def test_lost_failures_never_make_a_gate_hold(until_decided: bool) -> None:
    question = Question(gate=0.1, until_decided=until_decided)
    lost = CellOutcomes(([False, False, None] * 27)[:80])
    verdict = judge_question(question, {"a": lost})
    assert verdict.gate is RateGate.OUT_OF_REACH
    assert verdict.exit_code is ExitCode.UNDECIDED
    first = replace(question, rule=FIRST_RULE)
    assert judge_question(first, {"a": lost}).gate is RateGate.HOLDS


def test_one_broken_cell_breaks_the_gate() -> None:
    verdict = judge_question(Question(gate=0.02), {"a": cell(0, 400), "d": cell(8, 40)})
    assert (verdict.gate, verdict.exit_code) == (RateGate.BROKEN, ExitCode.FAILURES)
    assert "the gate of 2 % is broken: d failed 8/48" in verdict.sentences[0]


def test_a_gate_of_zero_can_never_be_proved() -> None:
    verdict = judge_question(Question(gate=0.0), {"a": cell(0, 50)})
    assert verdict.sentences[0].endswith("no run can prove it")


def test_contradictory_questions_are_refused() -> None:
    with pytest.raises(StatsError, match="nothing to decide"):
        Question(until_decided=True)
    with pytest.raises(RateError, match=r"a gate of 2 cannot be"):
        Question(gate=2)


def test_no_cells_and_no_question_give_an_exit_and_no_error() -> None:
    assert (
        judge_question(Question(gate=0.1), {"a": cell(0, 0)}).exit_code is ExitCode.NO_VALID_ATTEMPT
    )
    assert judge_question(Question(), {}).exit_code is ExitCode.NO_VALID_ATTEMPT
    assert judge_question(Question(), {"a": cell(0, 5)}).exit_code is ExitCode.OK
    assert judge_question(Question(), {"a": cell(1, 5)}).exit_code is ExitCode.FAILURES


def test_importing_the_statistics_loads_neither_scipy_nor_numpy() -> None:
    code = (
        "import sys, harness.stats.judge, harness.stats.attribution, harness.stats.strata\n"
        "sys.exit(bool({'scipy', 'numpy', 'torch', 'ray', 'sqlalchemy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
