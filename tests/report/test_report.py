"""Counting a stored run, its sentences and its exit code."""

import io
import random
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from harness.analysis.summary import summarise
from harness.analysis.verdict import decide
from harness.core.exits import ExitCode
from harness.core.records import TestCount
from harness.core.statuses import AttemptStatus
from harness.report.run_json import run_json
from harness.report.table import print_report
from harness.stats.attempts_needed import attempts_needed_until_decided
from tests.report.summaries import ASCENDING, DESCENDING, summary_of


def test_a_difference_is_a_sentence_that_cannot_be_misread() -> None:
    verdict = decide(summary_of({ASCENDING: 2, DESCENDING: 10}))
    assert verdict.contrasts[0].sentence == (
        "descending fails more often than ascending: 10/50 against 2/50, "
        "difference 16 points [3, 29], p = 0.021 (Boschloo)"
    )
    assert verdict.exit_code is ExitCode.FAILURES


def test_the_sentence_is_turned_with_the_sign() -> None:
    (contrast,) = decide(summary_of({ASCENDING: 10, DESCENDING: 2})).contrasts
    assert "descending fails less often than ascending: 2/50 against 10/50" in contrast.sentence
    assert "[3, 29]" in contrast.sentence


def test_no_significance_is_undecided_and_never_no_difference() -> None:
    (contrast,) = decide(summary_of({ASCENDING: 1}, 4)).contrasts
    assert contrast.sentence == (
        "undecided: descending against ascending, 0/4 against 1/4; if the truth is 0.2 against 0, "
        "about 33 more per cell, as a run of their own, decide it with 80 % power"
    )


def test_what_a_run_of_its_own_needs_is_a_number_until_a_run_has_had_it() -> None:
    assert decide(summary_of({ASCENDING: 1}, 4)).attempts_needed == 33
    assert decide(summary_of({ASCENDING: 1}, 40)).attempts_needed is None
    assert decide(summary_of({ASCENDING: 20}, 30)).attempts_needed is None
    assert decide(summary_of({}, 20, gate=0.05)).attempts_needed == 59
    looked_at = decide(summary_of({ASCENDING: 1}, 4, until_decided=True))
    assert looked_at.attempts_needed == attempts_needed_until_decided(0.2, 0.0).cap


def test_clean_cells_say_what_they_bound() -> None:
    verdict = decide(summary_of({}))
    assert verdict.exit_code is ExitCode.OK
    assert any("0/50 bounds a cell's failure rate below 5.8 %" in s for s in verdict.sentences)


def test_infrastructure_that_depends_on_the_cell_means_cannot_say() -> None:
    summary = summary_of({ASCENDING: 10}, infra={DESCENDING: 12})
    (contrast,) = decide(summary).contrasts
    assert contrast.sentence.startswith("cannot say whether descending and ascending differ")
    assert summary.cells[1].valid == 38


def test_a_cell_without_a_valid_attempt_exits_5() -> None:
    verdict = decide(summary_of({}, 5, infra={ASCENDING: 5}))
    assert verdict.exit_code is ExitCode.NO_VALID_ATTEMPT
    assert any("cannot say anything of ascending" in sentence for sentence in verdict.sentences)


def test_a_run_cut_short_is_judged_by_what_holds_at_every_look() -> None:
    summary = summary_of({DESCENDING: 9}, 20, run_status="interrupted", missing=4)
    verdict = decide(summary)
    assert verdict.exit_code is ExitCode.INTERRUPTED
    interval = summary.cells[0].interval
    assert interval
    assert interval.method == "beta-binomial confidence sequence"
    found = verdict.contrasts[0].contrast.comparison
    assert found
    assert found.test == "e-process"


def test_attempts_after_one_that_was_killed_in_flight_are_left_out_of_the_interval() -> None:
    summary = summary_of({}, 20, run_status="interrupted", missing=4)
    rows = [replace(row, status=AttemptStatus.CENSORED) if row.position == 10 else row
            for row in summary.attempts]  # fmt: skip
    cut = summarise(summary.run, rows, [])
    assert sum(cell.valid for cell in cut.cells) == 35
    assert sum(outcomes.valid for outcomes in cut.outcomes.values()) == 10
    assert any("first 5 valid attempts in lease order" in note for note in cut.cells[0].notes)


def test_what_infrastructure_could_hide_is_shown() -> None:
    verdict = decide(summary_of({ASCENDING: 3}, infra={ASCENDING: 2, DESCENDING: 1}))
    assert any(
        text.startswith("ascending: 2 infrastructure; whatever they would have been, the rate lies")
        for text in verdict.sentences
    )


def test_a_gate_that_holds_passes_and_one_out_of_reach_is_undecided() -> None:
    held = decide(summary_of({}, 60, gate=0.05))
    assert (held.exit_code, held.outcome) == (ExitCode.OK, "passed")
    assert any("every cell fails less often than 5 %" in text for text in held.sentences)
    short = decide(summary_of({}, 20, gate=0.05))
    assert (short.exit_code, short.outcome) == (ExitCode.UNDECIDED, "undecided")
    broken = decide(summary_of({ASCENDING: 20}, 60, gate=0.05))
    assert (broken.exit_code, broken.outcome) == (ExitCode.FAILURES, "failed")


def test_a_run_until_decided_never_prints_a_fixed_number_bound() -> None:
    summary = summary_of({}, 60, gate=0.02, until_decided=True)
    verdict = decide(summary)
    assert verdict.exit_code is ExitCode.UNDECIDED
    assert not any("one-sided" in text for text in verdict.sentences)
    assert any("ran to its cap of 120 attempts" in text for text in verdict.sentences)
    assert {cell.interval and cell.interval.method for cell in summary.cells} == {
        "beta-binomial confidence sequence"
    }


def test_failures_that_follow_the_order_are_attributed_to_it() -> None:
    clean = summary_of({})
    chance = random.Random(1)
    rows = [
        replace(row, status=AttemptStatus.FAILED)
        if row.cell == ASCENDING.key and chance.random() < 0.4
        else row
        for row in clean.attempts
    ]
    verdict = decide(summarise(clean.run, rows, []))
    assert verdict.attribution
    assert verdict.attribution.named == ("order",)
    assert any(text.startswith("failures follow order") for text in verdict.sentences)


def test_failures_that_come_in_a_row_are_said_not_to_be_independent() -> None:
    # The helper fails the first attempts of a cell: one run of failures, then passes only.
    verdict = decide(summary_of({ASCENDING: 15, DESCENDING: 15}))
    assert any("failures and passes are not in random order" in t for t in verdict.sentences)


def test_one_fixed_seed_is_one_observation() -> None:
    summary = summary_of({}, fixed_seed=True)
    verdict = decide(summary)
    assert summary.cells[0].interval is None
    assert verdict.contrasts == []
    assert any("no rate is claimed" in sentence for sentence in verdict.sentences)


def test_collecting_nothing_exits_4() -> None:
    verdict = decide(summary_of({ASCENDING: 1, DESCENDING: 1}, 1, kind="no-tests"))
    assert verdict.exit_code is ExitCode.NO_TESTS


@pytest.mark.parametrize("columns", [80, 100])
def test_the_table_shows_bounds_and_never_a_tick(columns: int) -> None:
    summary = summary_of({DESCENDING: 10})
    out = io.StringIO()
    print_report(summary, decide(summary), Console(file=out, width=columns))
    text = out.getvalue()
    assert "0 % [0 %, 7.1 %]" in text
    assert "20 % [10 %, 34 %]" in text
    assert "recorded graphs" in text
    assert not set("✓✔✅") & set(text)


def test_competing_kinds_have_rates_of_their_own() -> None:
    clean = summary_of({ASCENDING: 10})
    rows = [replace(row, kind="hang") if row.status == "failed" and row.position % 4 == 0 else row
            for row in clean.attempts]  # fmt: skip
    summary = summarise(clean.run, rows, [])
    cell = summary.cells[0]
    assert sum(cell.kinds.values()) == 10
    assert set(cell.kind_intervals) == {"hang", "wrong-output"}
    out = io.StringIO()
    print_report(summary, decide(summary), Console(file=out, width=100))
    assert "kinds (exploratory)" in out.getvalue()


def test_a_tests_own_rate_has_an_interval() -> None:
    clean = summary_of({})
    counts = [TestCount("s.py", ASCENDING.key, "s.py::t", outcome, None, 0, n)
              for outcome, n in (("failed", 2), ("passed", 40), ("precluded", 8))]  # fmt: skip
    summary = summarise(clean.run, clean.attempts, counts)
    (test,) = run_json(summary, decide(summary))["cells"][0]["tests"]
    assert test["interval"]["high"] == pytest.approx(0.1616, abs=1e-4)


def test_an_order_that_was_not_the_requested_one_is_marked() -> None:
    summary = summary_of({})
    summary.cells[0].order_observed = "descending"
    out = io.StringIO()
    print_report(summary, decide(summary), Console(file=out, width=120))
    assert "descending (asked: ascending)" in out.getvalue()


def test_hostile_text_is_shown_and_not_interpreted() -> None:
    summary = summary_of({DESCENDING: 1}, 2, kind="[bold red]x[/nonsense]")
    out = io.StringIO()
    print_report(summary, decide(summary), Console(file=out, width=200))
    assert "[bold red]x[/nonsense]" in out.getvalue()


def test_the_json_has_the_contracts_keys() -> None:
    summary = summary_of({DESCENDING: 10})
    document: dict[str, Any] = run_json(summary, decide(summary))
    assert document["schema"] == "harness.run/1"
    cell = document["cells"][1]
    assert (cell["attempts"], cell["failed"], cell["kinds"]) == (50, 10, {"wrong-output": 10})
    assert cell["order"] == {"requested": "descending", "observed": "descending"}
    assert document["contrasts"][0]["counts"] == [10, 50, 0, 50]
