"""Counting a stored run, its sentences and its exit code."""

import random
from dataclasses import replace

import pytest

from harness.analysis.contrast_results import make_contrast_result
from harness.analysis.report_model import ContrastResult
from harness.analysis.run_counts import RunCounts, count_run
from harness.analysis.verdict import judge_run
from harness.core.exits import ExitCode
from harness.core.records import TestCount
from harness.core.statuses import AttemptStatus
from harness.stats.attempts_needed import attempts_needed_until_decided
from tests.report.runs import ASCENDING, DESCENDING, make_counts


def only_contrast(counts: RunCounts) -> ContrastResult:
    (judged,) = judge_run(counts).contrasts
    return make_contrast_result(*judged)


def test_a_difference_is_a_sentence_that_cannot_be_misread() -> None:
    counts = make_counts({ASCENDING: 2, DESCENDING: 10})
    verdict = judge_run(counts)
    assert only_contrast(counts).sentence == (
        "descending fails more often than ascending: 10/50 against 2/50, "
        "difference 16 points [3, 29], p = 0.021 (Boschloo)"
    )
    assert verdict.exit_code is ExitCode.FAILURES


def test_the_sentence_is_turned_with_the_sign() -> None:
    contrast = only_contrast(make_counts({ASCENDING: 10, DESCENDING: 2}))
    assert "descending fails less often than ascending: 2/50 against 10/50" in contrast.sentence
    assert "[3, 29]" in contrast.sentence


def test_no_significance_is_undecided_and_never_no_difference() -> None:
    contrast = only_contrast(make_counts({ASCENDING: 1}, 4))
    assert contrast.sentence == (
        "undecided: descending against ascending, 0/4 against 1/4; if the truth is 0.2 against 0, "
        "a new run with 33 attempts per cell would decide it with 80 % power"
    )


def test_what_a_run_of_its_own_needs_is_a_number_until_a_run_has_had_it() -> None:
    assert judge_run(make_counts({ASCENDING: 1}, 4)).attempts_needed == 33
    assert judge_run(make_counts({ASCENDING: 1}, 40)).attempts_needed is None
    assert judge_run(make_counts({ASCENDING: 20}, 30)).attempts_needed is None
    assert judge_run(make_counts({}, 20, gate=0.05)).attempts_needed == 59
    looked_at = judge_run(make_counts({ASCENDING: 1}, 4, until_decided=True))
    assert looked_at.attempts_needed == attempts_needed_until_decided(0.2, 0.0).cap


def test_clean_cells_say_what_they_bound() -> None:
    verdict = judge_run(make_counts({}))
    assert verdict.exit_code is ExitCode.OK
    assert any("0/50 bounds a cell's failure rate below 5.9 %" in s for s in verdict.sentences)


def test_infrastructure_that_depends_on_the_cell_means_cannot_say() -> None:
    summary = make_counts({ASCENDING: 10}, infra={DESCENDING: 12})
    contrast = only_contrast(summary)
    assert contrast.sentence.startswith("cannot say whether descending and ascending differ")
    assert summary.cells[1].valid == 38


def test_a_cell_without_a_valid_attempt_exits_5() -> None:
    verdict = judge_run(make_counts({}, 5, infra={ASCENDING: 5}))
    assert verdict.exit_code is ExitCode.NO_VALID_ATTEMPT
    assert any("cannot say anything of ascending" in sentence for sentence in verdict.sentences)


def test_a_run_cut_short_is_judged_by_what_holds_at_every_look() -> None:
    summary = make_counts({DESCENDING: 9}, 20, run_status="interrupted", missing=4)
    verdict = judge_run(summary)
    assert verdict.exit_code is ExitCode.INTERRUPTED
    interval = summary.cells[0].interval
    assert interval
    assert interval.method == "beta-binomial confidence sequence"
    found = verdict.contrasts[0][1].comparison
    assert found
    assert found.test == "e-process"


def test_attempts_after_one_that_was_killed_in_flight_are_left_out_of_the_interval() -> None:
    summary = make_counts({}, 20, run_status="interrupted", missing=4)
    rows = [replace(row, status=AttemptStatus.CENSORED) if row.position == 10 else row
            for row in summary.attempts]  # fmt: skip
    cut = count_run(summary.run, rows, [])
    assert sum(cell.valid for cell in cut.cells) == 35
    assert sum(outcomes.valid for outcomes in cut.outcomes.values()) == 10
    assert any("first 5 valid attempts in lease order" in note for note in cut.cells[0].notes)


def test_what_infrastructure_could_hide_is_shown() -> None:
    verdict = judge_run(make_counts({ASCENDING: 3}, infra={ASCENDING: 2, DESCENDING: 1}))
    assert any(
        text.startswith("ascending: 2 infrastructure; whatever they would have been, the rate lies")
        for text in verdict.sentences
    )


def test_a_gate_that_holds_passes_and_one_out_of_reach_is_undecided() -> None:
    held = judge_run(make_counts({}, 60, gate=0.05))
    assert (held.exit_code, held.outcome) == (ExitCode.OK, "passed")
    assert any("every cell fails less often than 5 %" in text for text in held.sentences)
    short = judge_run(make_counts({}, 20, gate=0.05))
    assert (short.exit_code, short.outcome) == (ExitCode.UNDECIDED, "undecided")
    broken = judge_run(make_counts({ASCENDING: 20}, 60, gate=0.05))
    assert (broken.exit_code, broken.outcome) == (ExitCode.FAILURES, "failed")


def test_a_run_until_decided_never_prints_a_fixed_number_bound() -> None:
    summary = make_counts({}, 60, gate=0.02, until_decided=True)
    verdict = judge_run(summary)
    assert verdict.exit_code is ExitCode.UNDECIDED
    assert not any("one-sided" in text for text in verdict.sentences)
    assert any("ran to its cap of 120 attempts" in text for text in verdict.sentences)
    assert {cell.interval and cell.interval.method for cell in summary.cells} == {
        "beta-binomial confidence sequence"
    }


def test_failures_that_follow_the_order_are_attributed_to_it() -> None:
    clean = make_counts({})
    chance = random.Random(1)
    rows = [
        replace(row, status=AttemptStatus.FAILED)
        if row.cell == ASCENDING.key and chance.random() < 0.4
        else row
        for row in clean.attempts
    ]
    verdict = judge_run(count_run(clean.run, rows, []))
    assert verdict.attribution
    assert verdict.attribution.named == ("order",)
    assert any(text.startswith("failures follow order") for text in verdict.sentences)


def test_failures_that_come_in_a_row_are_said_not_to_be_independent() -> None:
    # The helper fails the first attempts of a cell: one run of failures, then passes only.
    verdict = judge_run(make_counts({ASCENDING: 15, DESCENDING: 15}))
    assert any("failures and passes are not in random order" in t for t in verdict.sentences)


def test_one_fixed_seed_is_one_observation() -> None:
    summary = make_counts({}, fixed_seed=True)
    verdict = judge_run(summary)
    assert summary.cells[0].interval is None
    assert verdict.contrasts == ()
    assert any("no rate is claimed" in sentence for sentence in verdict.sentences)


def test_collecting_nothing_exits_4() -> None:
    verdict = judge_run(make_counts({ASCENDING: 1, DESCENDING: 1}, 1, kind="no-tests"))
    assert verdict.exit_code is ExitCode.NO_TESTS


def test_competing_kinds_have_intervals_of_their_own() -> None:
    clean = make_counts({ASCENDING: 10})
    rows = [replace(row, kind="hang") if row.status == "failed" and row.position % 4 == 0 else row
            for row in clean.attempts]  # fmt: skip
    cell = count_run(clean.run, rows, []).cells[0]
    assert sum(cell.kinds.values()) == 10
    assert set(cell.kind_intervals) == {"hang", "wrong-output"}


def test_a_tests_own_rate_has_an_interval() -> None:
    clean = make_counts({})
    counts = [TestCount("s.py", ASCENDING.key, "s.py::t", outcome, None, 0, n)
              for outcome, n in (("failed", 2), ("passed", 40), ("precluded", 8))]  # fmt: skip
    (test,) = count_run(clean.run, clean.attempts, counts).cells[0].tests
    assert test.interval
    assert test.interval.high == pytest.approx(0.1616, abs=1e-4)
