"""The planned comparisons of a run as every format shows them."""

from dataclasses import dataclass
from typing import Any

from harness.analysis.question import Pair
from harness.stats.contrasts import Contrast, describe_contrast
from harness.stats.strata import Stratum, pool_strata


@dataclass(frozen=True, slots=True)
class Compared:
    """A planned pair and what it came to."""

    pair: Pair
    contrast: Contrast

    @property
    def sentence(self) -> str:
        """The comparison in words that can be read alone."""
        return describe_contrast(self.contrast)

    def as_dict(self) -> dict[str, Any]:
        """The contrast in `run.json`."""
        found = self.contrast.comparison
        return {
            "suite": self.pair.suite,
            "axis": self.pair.axis,
            "value": self.pair.value,
            "reference": self.pair.reference,
            "where": self.pair.where,
            "counts": found and [found.k, found.n, found.reference_k, found.reference_n],
            "difference": found and found.effect,
            "interval": found and [found.difference.low, found.difference.high],
            "p": found and found.p,
            "p_adjusted": self.contrast.p_adjusted if found else None,
            "test": found and found.test,
            "finding": self.contrast.finding.value,
            "outlook": self.contrast.outlook,
            "sentence": self.sentence,
        }


def pooled_sentences(compared: list[Compared]) -> list[str]:
    """Each comparison over all other axes at once, where there are several of it. Exploratory."""
    grouped: dict[tuple[str, str, str], list[Contrast]] = {}
    for one in compared:
        key = (one.pair.suite, one.contrast.arm, one.contrast.reference)
        grouped.setdefault(key, []).append(one.contrast)
    told = (
        _pooled(arm, reference, contrasts)
        for (_, arm, reference), contrasts in grouped.items()
        if len(contrasts) > 1
    )
    return [text for text in told if text]


def _pooled(arm: str, reference: str, contrasts: list[Contrast]) -> str:
    comparisons = [one.comparison for one in contrasts if one.comparison]
    found = pool_strata([Stratum(c.k, c.n, c.reference_k, c.reference_n) for c in comparisons])
    if found.odds_ratio is None:
        return ""
    told = (
        f"exploratory: over all {len(comparisons)} pairs of cells, {arm} against {reference}: odds "
        f"ratio {found.odds_ratio:.2g}, p = {found.p_corrected:.2g} (Cochran-Mantel-Haenszel)"
    )
    if found.p_homogeneity is None:
        return told
    agree = "differ from pair to pair" if found.p_homogeneity <= 0.05 else "are not seen to differ"
    return f"{told}; the odds ratios {agree} (Breslow-Day, p = {found.p_homogeneity:.2g})"
