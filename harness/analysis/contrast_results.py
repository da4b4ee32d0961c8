"""The planned comparisons of a run as values of its report, and what they say together. Pure."""

from collections.abc import Sequence

from harness.analysis.contrast_pairs import ContrastPair
from harness.analysis.report_model import ContrastResult
from harness.stats.contrasts import Contrast
from harness.stats.strata import Stratum, pool_strata
from harness.stats.wording import describe_contrast

#: A planned pair and its judgement.
JudgedPair = tuple[ContrastPair, Contrast]


def make_contrast_result(pair: ContrastPair, contrast: Contrast) -> ContrastResult:
    """Return a judged comparison with its counts and its sentence."""
    found = contrast.comparison
    return ContrastResult(
        suite=pair.suite,
        axis=pair.axis,
        value=pair.value,
        reference=pair.reference,
        where=pair.where,
        counts=(found.k, found.n, found.reference_k, found.reference_n) if found else None,
        difference=found.effect if found else None,
        interval=(found.difference.low, found.difference.high) if found else None,
        p=found.p if found else None,
        p_adjusted=contrast.p_adjusted if found else None,
        test=found.test if found else None,
        finding=contrast.finding,
        outlook=contrast.outlook,
        sentence=describe_contrast(contrast),
    )


def describe_pooled(judged: Sequence[JudgedPair]) -> list[str]:
    """Return a sentence per comparison that several pairs make, over all of them. Exploratory."""
    grouped: dict[tuple[str, str, str], list[Contrast]] = {}
    for pair, contrast in judged:
        key = (pair.suite, contrast.arm, contrast.reference)
        grouped.setdefault(key, []).append(contrast)
    sentences = (
        _describe_pair(arm, reference, contrasts)
        for (_, arm, reference), contrasts in grouped.items()
        if len(contrasts) > 1
    )
    return [text for text in sentences if text]


def _describe_pair(arm: str, reference: str, contrasts: list[Contrast]) -> str:
    comparisons = [one.comparison for one in contrasts if one.comparison]
    found = pool_strata([Stratum(c.k, c.n, c.reference_k, c.reference_n) for c in comparisons])
    if found.odds_ratio is None:
        return ""
    text = (
        f"exploratory: over all {len(comparisons)} pairs of cells, {arm} against {reference}: odds "
        f"ratio {found.odds_ratio:.2g}, p = {found.p_corrected:.2g} (Cochran-Mantel-Haenszel)"
    )
    if found.p_homogeneity is None:
        return text
    agree = "differ from pair to pair" if found.p_homogeneity <= 0.05 else "are not seen to differ"
    return f"{text}; the odds ratios {agree} (Breslow-Day, p = {found.p_homogeneity:.2g})"
