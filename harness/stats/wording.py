"""Every sentence that the statistics say, so that wording is in one place. Pure."""

import math
from collections.abc import Mapping, Sequence

from harness.stats.contrasts import Comparison, Contrast, Finding
from harness.stats.intervals import Interval
from harness.stats.planned import CellOutcomes, Question
from harness.stats.rate_gate import RateGate

NO_VALID_ATTEMPT = "no valid attempt in one of the cells"


def describe_contrast(contrast: Contrast) -> str:
    """Return the contrast in words that can be read alone; points are of percent."""
    where = f" for {contrast.where}" if contrast.where else ""
    found = contrast.comparison
    if found is None:
        return f"cannot compare {contrast.arm} with {contrast.reference}{where}: {contrast.reason}"
    counts = f"{found.k}/{found.n} against {found.reference_k}/{found.reference_n}"
    method = ", ".join(part for part in (found.test, contrast.correction) if part)
    if contrast.finding is Finding.DIFFERENT:
        worse = found.effect > 0 if contrast.arm_is_worse is None else contrast.arm_is_worse
        more = "more" if worse else "less"
        return (
            f"{contrast.arm} fails {more} often than {contrast.reference}{where}: {counts}, "
            f"{format_difference(found)}, p = {contrast.p_adjusted:.2g} ({method})"
        )
    if contrast.finding is Finding.CANNOT_SAY:
        asked = f"whether {contrast.arm} and {contrast.reference} differ{where}"
        return f"cannot say {asked}: {counts}, {contrast.reason}"
    pair = f"{contrast.arm} against {contrast.reference}{where}"
    return f"undecided: {pair}, {counts}" + (f"; {contrast.outlook}" if contrast.outlook else "")


def describe_undecided_rest(contrasts: Sequence[Contrast]) -> str:
    """Return one sentence for all values of an axis that were not told apart from the rest."""
    counts = ", ".join(
        f"{c.arm} {c.comparison.k}/{c.comparison.n}" for c in contrasts if c.comparison
    )
    where = f" for {contrasts[0].where}" if contrasts[0].where else ""
    outlook = f"; {contrasts[0].outlook}" if contrasts[0].outlook else ""
    return f"undecided against {contrasts[0].reference}{where}: {counts}{outlook}"


def format_difference(found: Comparison) -> str:
    """Return `difference 16 points [3, 29]`, turned so that the direction stated is positive."""
    sign = 1 if found.effect >= 0 else -1
    bounds = sorted(round(100 * sign * b) for b in (found.difference.low, found.difference.high))
    return f"difference {round(100 * abs(found.effect))} points [{bounds[0]}, {bounds[1]}]"


def format_limit(rate: float) -> str:
    """Return an upper bound in percent, rounded up: 5.816 % is written 5.9 %."""
    percent = 100 * rate
    step = 1 if percent >= 10 else 10
    return f"{math.ceil(percent * step - 1e-9) / step:g} %"


def describe_rate_gate(
    question: Question,
    gate: RateGate,
    cells: Mapping[str, CellOutcomes],
    bounds: Mapping[str, Interval],
    needed: int | None,
) -> str:
    """Return the rate gate in words, with the counts of the cell whose bound is worst.

    needed: clean attempts per cell that prove the rate; None if no number does.
    """
    assert question.gate is not None
    worst = max(cells, key=lambda key: bounds[key].high)
    cell = cells[worst]
    lost = f" with {cell.infra} lost to infrastructure" if cell.infra else ""
    bound = format_limit(bounds[worst].high)
    counts = f"{worst} failed {cell.failed}/{cell.valid}{lost}, at most {bound}"
    limit = f"{100 * question.gate:g} %"
    if gate is RateGate.HOLDS:
        return f"every cell fails less often than {limit}: at worst {counts} (95 %)"
    if gate is RateGate.BROKEN:
        return f"the gate of {limit} is broken: {counts} (95 %)"
    return f"undecided whether every cell fails less often than {limit}: {counts}; " + (
        f"{needed} clean attempts per cell prove it" if needed else "no run can prove it"
    )


def describe_infra_difference(arm: CellOutcomes, reference: CellOutcomes, p: float) -> str:
    """Return why two cells cannot be compared: infrastructure took more attempts of one."""
    return (
        f"infrastructure depends on the cell ({arm.infra}/{len(arm.outcomes)} against "
        f"{reference.infra}/{len(reference.outcomes)}, p = {p:.2g})"
    )


def describe_clusters(clustered: Mapping[str, float], p: float) -> str:
    """Return why a difference between cells whose failures come in clusters is no decision."""
    which = " and ".join(f"{name} (p = {found:.2g})" for name, found in clustered.items())
    return (
        f"failures come in clusters in {which}, so attempts are not independent, and compared by "
        f"blocks they give p = {p:.2g}"
    )


def describe_bursts(p: float) -> str:
    """Return why a difference that a burst of failures could have made is no decision."""
    return (
        f"failures follow each other (runs test p = {p:.2g}); with each burst counted once the "
        "attempts do not show the difference"
    )


def describe_units(p: float) -> str:
    """Return why a difference that zygotes could have made by themselves is no decision."""
    return (
        "failure rates differ between the zygotes that attempts were forked from, and clustered "
        f"by zygote p = {p:.2g}; --isolation spawn makes attempts independent"
    )


def describe_undoing(lost: int, p: float) -> str:
    """Return why a difference on valid attempts is no decision."""
    return f"{lost} infrastructure attempts could undo p = {p:.2g}"


def describe_extension(high: float, low: float, more: int) -> str:
    """Return how many further attempts would decide a comparison that may be extended."""
    return (
        f"if the truth is {high:g} against {low:g}, about {more} more attempts per cell would "
        "decide it with 80 % power"
    )


def describe_new_run(high: float, low: float, attempts: int) -> str:
    """Return the size of a new run that would decide a comparison that cannot be extended."""
    return (
        f"if the truth is {high:g} against {low:g}, a new run with {attempts} attempts per cell "
        "would decide it with 80 % power"
    )


def describe_too_few_to_compare(question: Question, repeats: int, needed: int) -> str:
    """Return the warning that a budget cannot be expected to find the planned difference."""
    high, low = max(question.expected_rates), min(question.expected_rates)
    return (
        f"{repeats} attempts per cell are too few to tell a failure rate of {100 * high:g} % from "
        f"{100 * low:g} %: with 80 % power that takes {needed} per cell "
        f"({count_contrasts(len(question.contrasts))})"
    )


def count_contrasts(planned: int) -> str:
    """Return `1 planned comparison` or `6 planned comparisons`."""
    return f"{planned} planned comparison" + ("" if planned == 1 else "s")


def describe_too_few_to_prove(rate: float, repeats: int, needed: int) -> str:
    """Return the warning that a budget cannot prove a rate gate."""
    return (
        f"{repeats} attempts per cell cannot prove a rate below {100 * rate:g} %: "
        f"that takes {needed} clean ones"
    )


def describe_clean_fix(needed: int) -> str:
    """Return how many clean attempts would show that a fix works."""
    return f"{needed} clean attempts of the fix are needed"


def describe_short_history(runs: int, fewest: int) -> str:
    """Return why a difference between two runs is no finding without more runs of the cell."""
    return (
        f"the store holds {runs} other runs of this cell, and {fewest} are needed to tell how much "
        "runs differ by themselves; measure both commits in one run with --rev"
    )


def describe_varied_runs(runs: int, p: float) -> str:
    """Return that a difference is no larger than those between earlier runs."""
    return (
        f"{runs} other runs of this cell differ so much by themselves (beta-binomial, "
        f"p = {p:.2g}); measure both commits in one run with --rev"
    )
