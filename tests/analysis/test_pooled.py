"""Sentences over several cells: pooled comparisons, and infrastructure that favours one."""

from harness.analysis.contrast_pairs import ContrastPair
from harness.analysis.contrast_results import JudgedPair, describe_pooled
from harness.analysis.verdict import judge_run
from harness.stats.contrasts import Contrast, Finding, compare_rates
from tests.report.runs import ASCENDING, DESCENDING, make_counts

FA3 = (10, 50, 2, 50)
TRITON = (3, 50, 1, 50)


def compared(counts: tuple[int, int, int, int], where: str, suite: str = "s.py") -> JudgedPair:
    """Descending against ascending, in the cells that `where` names."""
    pair = ContrastPair(
        suite, "order", "descending", "ascending", where, f"d {where}", f"a {where}"
    )
    found = compare_rates(*counts)
    contrast = Contrast("descending", "ascending", where, found, found.p, Finding.UNDECIDED)
    return pair, contrast


def test_pairs_of_cells_are_pooled_with_their_odds_ratio_and_homogeneity() -> None:
    # Values of an independent implementation: odds ratio 4.937, p .0183 corrected, homogeneity .644
    (said,) = describe_pooled([compared(FA3, "fa3"), compared(TRITON, "triton")])
    assert said == (
        "exploratory: over all 2 pairs of cells, descending against ascending: odds ratio 4.9, "
        "p = 0.018 (Cochran-Mantel-Haenszel); the odds ratios are not seen to differ "
        "(Breslow-Day, p = 0.64)"
    )


def test_pairs_that_contradict_each_other_are_said_to_differ() -> None:
    (said,) = describe_pooled([compared((20, 40, 2, 40), "x"), compared((2, 40, 20, 40), "y")])
    assert "the odds ratios differ from pair to pair" in said


def test_one_pair_is_not_pooled_nor_are_pairs_of_two_suites() -> None:
    assert describe_pooled([compared(FA3, "fa3")]) == []
    assert describe_pooled([compared(FA3, "", "a.py"), compared(TRITON, "", "b.py")]) == []


def test_pairs_without_a_failure_on_one_side_have_no_odds_ratio_to_tell() -> None:
    assert describe_pooled([compared((0, 9, 0, 9), "x"), compared((3, 9, 0, 9), "y")]) == []


def test_infrastructure_that_favours_a_cell_is_said_with_its_p() -> None:
    sentences = judge_run(make_counts({}, infra={DESCENDING: 12})).sentences
    (said,) = [one for one in sentences if one.startswith("the share of infrastructure")]
    assert said.startswith("the share of infrastructure attempts depends on the cell (p = 0.000")


def test_infrastructure_that_hits_cells_alike_is_not_said_to_depend_on_them() -> None:
    sentences = judge_run(make_counts({}, infra={ASCENDING: 3, DESCENDING: 3})).sentences
    assert not [one for one in sentences if "depends on the cell" in one]
