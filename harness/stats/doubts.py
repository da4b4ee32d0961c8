"""Differences whose cells' failures may not be independent, judged again. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.stats import wording
from harness.stats.clustering import compute_block_p, find_clustered
from harness.stats.contrasts import ALPHA, Contrast, Finding
from harness.stats.looks import BURSTS_SINCE, PairLooks
from harness.stats.planned import CellOutcomes, PlannedContrast, Question

BY_BLOCKS = "by blocks, since failures come in clusters"
ONCE = "also with each burst of failures counted once"


def doubt_clustered(
    question: Question, cells: Mapping[str, CellOutcomes], judged: Sequence[Contrast]
) -> list[Contrast]:
    """Judge what was found different again, as it would be if failures came in bursts."""
    if all(contrast.finding is not Finding.DIFFERENT for contrast in judged):
        return list(judged)
    clustered = find_clustered(cells)
    return [
        _judge_again(question, names, contrast, cells, clustered)
        for names, contrast in zip(question.contrasts, judged, strict=True)
    ]


def _judge_again(
    question: Question,
    names: PlannedContrast,
    contrast: Contrast,
    cells: Mapping[str, CellOutcomes],
    clustered: Mapping[str, float],
) -> Contrast:
    if contrast.finding is not Finding.DIFFERENT:
        return contrast
    if question.until_decided and not names.rest and question.rule.version >= BURSTS_SINCE:
        return _count_bursts_once(question, names, contrast, cells)
    found = {name: clustered[name] for name in (names.arm, *names.references) if name in clustered}
    return _judge_by_blocks(question, names, contrast, cells, found) if found else contrast


def _count_bursts_once(
    question: Question,
    names: PlannedContrast,
    contrast: Contrast,
    cells: Mapping[str, CellOutcomes],
) -> Contrast:
    """Judge two cells of a run until decided, look by look as the run did."""
    looks = PairLooks(question, names)
    outcomes = cells[names.arm].outcomes, cells[names.reference].outcomes
    for arm, reference in zip(*outcomes, strict=False):
        looks.add(names.arm, arm)
        looks.add(names.reference, reference)
    # What judges here may cross its threshold by a rounding that the look's does not.
    if looks.is_decided or looks.holds_in_bursts():
        return _add_correction(contrast, ONCE) if looks.was_doubtful else contrast
    assert looks.bursts is not None
    return replace(
        contrast, finding=Finding.CANNOT_SAY, reason=wording.describe_bursts(looks.bursts.p)
    )


def _judge_by_blocks(
    question: Question,
    names: PlannedContrast,
    contrast: Contrast,
    cells: Mapping[str, CellOutcomes],
    clustered: Mapping[str, float],
) -> Contrast:
    """Judge by eight long blocks; from a rest, by the one of its cells that differs least."""
    planned = len(question.contrasts)
    p = max(
        compute_block_p(cells[names.arm].outcomes, cells[one].outcomes, planned)
        for one in names.references
    )
    if p <= ALPHA:
        found = _add_correction(contrast, BY_BLOCKS)
        return replace(found, p_adjusted=max(p, contrast.p_adjusted))
    return replace(
        contrast, finding=Finding.CANNOT_SAY, reason=wording.describe_clusters(clustered, p)
    )


def _add_correction(contrast: Contrast, added: str) -> Contrast:
    return replace(
        contrast, correction=", ".join(part for part in (contrast.correction, added) if part)
    )
