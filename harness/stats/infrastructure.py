"""Infrastructure attempts: outside the denominator, but able to bias it. Pure."""

from collections.abc import Sequence

from harness.stats.contrasts import Comparison, compare_rates
from harness.stats.planned import CellOutcomes

#: Below this p the share of infrastructure attempts is taken to depend on the cell.
INFRA_ALPHA = 0.05


def find_infra_difference(arm: CellOutcomes, reference: CellOutcomes) -> float | None:
    """Return the p-value if the share of infrastructure attempts differs between two cells.

    Tested as `compare_rates` tests failures. None if no difference is seen.
    """
    if not arm.infra and not reference.infra:
        return None
    p = compare_rates(arm.infra, len(arm.outcomes), reference.infra, len(reference.outcomes)).p
    return p if p <= INFRA_ALPHA else None


def compute_infra_share_p(counts: Sequence[tuple[int, int]]) -> float:
    """P-value that (infrastructure, valid) attempts of all cells share one infrastructure rate.

    Permutation of attempts over cells (`compute_association_p`), without strata. Return 1 if there
    is no infrastructure attempt at all.
    """
    from harness.stats.permutation import compute_association_p

    failed = [lost for infra, valid in counts for lost in [True] * infra + [False] * valid]
    cells = [cell for cell, (infra, valid) in enumerate(counts) for _ in range(infra + valid)]
    p = compute_association_p(failed, cells, [0] * len(cells))
    return 1.0 if p is None else p


def compare_worst_case(found: Comparison, infra: int, reference_infra: int) -> Comparison:
    """The comparison with each infrastructure attempt counted against the difference seen.

    In the arm that fails more they pass, in the other they fail (worst-case bounds, Manski 1989).
    What still holds here holds whatever made those attempts fail.
    """
    if not infra and not reference_infra:
        return found
    n, reference_n = found.n + infra, found.reference_n + reference_infra
    if found.effect >= 0:
        worst = compare_rates(found.k, n, found.reference_k + reference_infra, reference_n)
        return worst if worst.effect > 0 else _report_no_difference(worst)
    worst = compare_rates(found.k + infra, n, found.reference_k, reference_n)
    return worst if worst.effect < 0 else _report_no_difference(worst)


def _report_no_difference(worst: Comparison) -> Comparison:
    """The bounds cross: a difference the other way round is no support for the one seen."""
    return Comparison(
        *(worst.k, worst.n, worst.reference_k, worst.reference_n),
        *(worst.difference, 1.0, worst.test),
    )
