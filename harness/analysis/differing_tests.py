"""Which single tests differ between the cells of a comparison. Exploratory. Pure."""

from collections.abc import Sequence

from harness.analysis.contrast_results import JudgedPair
from harness.analysis.report_model import CellRate
from harness.stats.many_tests import Counts, find_differing

#: Tests that a sentence names.
_SHOWN = 5


def describe_differing_tests(cells: Sequence[CellRate], judged: Sequence[JudgedPair]) -> list[str]:
    """Return a sentence per comparison in which single tests differ, over all tests of the run.

    None for suites of one test, of which the comparison itself speaks.
    """
    by_name = {cell.name: {test.id: test for test in cell.tests} for cell in cells}
    rows: list[tuple[int, str, Counts]] = []
    for at, (pair, _) in enumerate(judged):
        arm, base = by_name[pair.arm], by_name[pair.base]
        if pair.rest or len(arm) < 2:
            continue
        for name in sorted(set(arm) & set(base)):
            one, other = arm[name], base[name]
            rows.append((at, name, (one.failed, one.valid, other.failed, other.valid)))
    found = find_differing([counts for _, _, counts in rows])
    told: dict[int, list[str]] = {}
    for index, p in found.differ.items():
        at, name, (k, n, other_k, other_n) = rows[index]
        told.setdefault(at, []).append(f"{name} {k}/{n} against {other_k}/{other_n}, p = {p:.2g}")
    return [_describe(judged[at], tests, len(rows), found.testable) for at, tests in told.items()]


def _describe(judged: JudgedPair, tests: list[str], compared: int, testable: int) -> str:
    contrast = judged[1]
    where = f" for {contrast.where}" if contrast.where else ""
    more = f"; and {len(tests) - _SHOWN} more" if len(tests) > _SHOWN else ""
    count = "1 test differs" if len(tests) == 1 else f"{len(tests)} tests differ"
    return (
        f"exploratory: {count} between {contrast.arm} and {contrast.reference}{where} "
        f"(of {compared} compared, {testable} failed often enough to tell; at most 5 % of those "
        f"named are false on average): {'; '.join(tests[:_SHOWN])}{more}"
    )
