"""Infrastructure attempts: outside the denominator, but able to bias it. Pure."""

from harness.stats.contrasts import compare

#: Below this p the share of infrastructure attempts is taken to depend on the cell.
INFRA_ALPHA = 0.05


def infra_differs(infra: int, valid: int, reference_infra: int, reference_valid: int) -> str:
    """Why two cells cannot be compared, or empty text where infrastructure does not stand in it.

    The share of infrastructure attempts is tested between the cells, as `compare` tests rates.
    """
    total, reference_total = infra + valid, reference_infra + reference_valid
    if not infra and not reference_infra:
        return ""
    p = compare(infra, total, reference_infra, reference_total).p
    if p > INFRA_ALPHA:
        return ""
    return (
        f"infrastructure depends on the cell ({infra}/{total} against "
        f"{reference_infra}/{reference_total}, p = {p:.2g})"
    )
