"""Single tests that differ between two cells are named, and called exploratory."""

from dataclasses import replace

from harness.analysis.differing_tests import describe_differing_tests
from harness.analysis.verdict import judge_run
from harness.core.records import TestCount
from tests.report.runs import ASCENDING, DESCENDING, make_counts, recount


def count_tests(failed: dict[str, int], tests: int = 40) -> list[TestCount]:
    """`test_0` fails as given by order; the others pass."""
    found = []
    for cell, name in ((ASCENDING, "ascending"), (DESCENDING, "descending")):
        k = failed.get(name, 0)
        outcomes = [("test_0", "failed", k), ("test_0", "passed", 50 - k)]
        outcomes += [(f"test_{i}", "passed", 50) for i in range(1, tests)]
        found += [TestCount("s.py", cell.key, f"s.py::{test}", outcome,
                            "wrong-output" if outcome == "failed" else None, False, n)
                  for test, outcome, n in outcomes if n]  # fmt: skip
    return found


def test_the_one_test_that_differs_is_named_with_its_counts() -> None:
    counts = make_counts({DESCENDING: 9})
    counts = replace(counts, cells=recount(counts, count_tests({"descending": 9})).cells)
    (told,) = describe_differing_tests(counts.cells, judge_run(counts).contrasts)
    assert told.startswith("exploratory: 1 test differs between descending and ascending")
    assert "of 40 compared, 1 failed often enough to tell" in told
    assert "s.py::test_0 9/50 against 0/50" in told
    assert told in judge_run(counts).sentences


def test_suites_of_one_test_and_equal_tests_say_nothing() -> None:
    counts = make_counts({DESCENDING: 9})
    alone = recount(counts, count_tests({"descending": 9}, tests=1))
    assert describe_differing_tests(alone.cells, judge_run(counts).contrasts) == []
    equal = recount(counts, count_tests({"descending": 5, "ascending": 5}))
    assert describe_differing_tests(equal.cells, judge_run(counts).contrasts) == []
