"""A verdict on attempts of zygotes that differ. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.stats import wording
from harness.stats.contrasts import ALPHA, Contrast, Finding
from harness.stats.intervals import Interval, compute_upper_bound
from harness.stats.planned import CellOutcomes, Question
from harness.stats.rate_gate import RateGate
from harness.stats.units import Clusters

BY_ZYGOTE = "clustered by zygote"


def doubt_units(
    question: Question, contrasts: Sequence[Contrast], clusters: Clusters
) -> list[Contrast]:
    """Return the contrasts, those found different only if zygotes would seldom make it so."""
    planned = len(question.contrasts)
    return [
        _doubt(contrast, min(1.0, planned * clusters.compute_p(names.arm, names.references)))
        for names, contrast in zip(question.contrasts, contrasts, strict=True)
    ]


def _doubt(contrast: Contrast, p: float) -> Contrast:
    if contrast.finding is not Finding.DIFFERENT:
        return contrast
    if p <= ALPHA:
        correction = ", ".join(part for part in (contrast.correction, BY_ZYGOTE) if part)
        return replace(contrast, p_adjusted=max(p, contrast.p_adjusted), correction=correction)
    return replace(contrast, finding=Finding.CANNOT_SAY, reason=wording.describe_units(p))


def doubt_gate(
    rate: float, gate: RateGate, cells: Mapping[str, CellOutcomes], clusters: Clusters
) -> tuple[RateGate, dict[str, Interval]]:
    """Return the gate and its bounds; it holds only if each cell's clustered bound is below."""
    widened = clusters.widen(compute_upper_bound)
    bounds = {
        name: widened(cell.failed + cell.infra, len(cell.outcomes), 1 - ALPHA)
        for name, cell in cells.items()
    }
    if gate is RateGate.HOLDS and any(one.high > rate for one in bounds.values()):
        return RateGate.OUT_OF_REACH, bounds
    return gate, bounds
