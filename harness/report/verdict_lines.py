"""The verdict's sentences, few enough to be read: what is open is said once. Pure."""

from harness.analysis.report_model import ContrastResult, Report
from harness.report import wording
from harness.report.detail_tables import name_contrast, write_counts

#: So many undecided comparisons are named in their one sentence.
_NAMED = 3


def select_sentences(report: Report) -> list[str]:
    """Return the verdict's sentences, those of several undecided comparisons as one."""
    open_ones = sorted((c for c in report.contrasts if not c.is_decided), key=lambda c: c.rank)
    if len(open_ones) < 2:
        return list(report.verdict.sentences)
    told = {one.sentence for one in open_ones}
    first = next(i for i, s in enumerate(report.verdict.sentences) if s in told)
    merged = _describe_open(open_ones, len(report.contrasts), report.verdict.attempts_needed)
    others = [text for text in report.verdict.sentences if text not in told]
    return [*others[:first], merged, *others[first:]]


def _describe_open(open_ones: list[ContrastResult], planned: int, needed: int | None) -> str:
    named = [f"{name_contrast(one)}, {write_counts(one)}" for one in open_ones[:_NAMED]]
    if more := len(open_ones) - len(named):
        named.append(wording.MORE.format(more))
    outlook = f"; {wording.TO_DECIDE.format(needed)}" if needed is not None else ""
    return wording.NOT_DECIDED.format(len(open_ones), planned, "; ".join(named), outlook)
