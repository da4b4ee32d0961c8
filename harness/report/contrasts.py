"""The planned comparisons of a run, and the sentence each becomes.

On every axis each other value is compared with the first, the reference, where all other axes are
equal. Their number is fixed by the plan, and Holm's correction is among all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.core.cell import Cell, Value
from harness.report.summary import CellSummary, RunSummary
from harness.stats.contrasts import Comparison, compare, holm
from harness.stats.infra import infra_differs

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Contrast:
    """One planned comparison, decided."""

    suite: str
    axis: str
    value: Value
    reference: Value
    where: str
    comparison: Comparison | None
    p_adjusted: float | None
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """The contrast in `run.json`."""
        found = self.comparison
        return {
            "suite": self.suite,
            "axis": self.axis,
            "value": self.value,
            "reference": self.reference,
            "where": self.where,
            "counts": found and [found.k, found.n, found.reference_k, found.reference_n],
            "difference": found and found.effect,
            "interval": found and [found.difference.low, found.difference.high],
            "p": found and found.p,
            "p_adjusted": self.p_adjusted,
            "test": found and found.test,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True)
class _Pair:
    axis: str
    value: Value
    reference: Value
    where: str
    arm: CellSummary
    base: CellSummary


def planned_contrasts(summary: RunSummary) -> list[Contrast]:
    """Every planned comparison with its sentence. A run cut short has none that is decided."""
    pairs = list(_pairs(summary.cells))
    comparable = [pair.arm.valid > 0 and pair.base.valid > 0 for pair in pairs]
    found = [
        compare(p.arm.failed, p.arm.valid, p.base.failed, p.base.valid) if ok else None
        for p, ok in zip(pairs, comparable, strict=True)
    ]
    adjusted = holm([comparison.p if comparison else 1.0 for comparison in found])
    return [
        _contrast(pair, comparison, p, summary.complete)
        for pair, comparison, p in zip(pairs, found, adjusted, strict=True)
    ]


def _pairs(cells: list[CellSummary]) -> Iterator[_Pair]:
    by_key = {(cell.suite, cell.cell.key): cell for cell in cells}
    references: dict[tuple[str, str], Value] = {}
    for cell in cells:
        for axis, value in cell.cell.axes:
            references.setdefault((cell.suite, axis), value)
    for cell in cells:
        for axis, value in cell.cell.axes:
            reference = references[cell.suite, axis]
            base = by_key.get((cell.suite, _with(cell.cell, axis, reference).key))
            if value != reference and base:
                yield _Pair(axis, value, reference, _where(cell, axis, cells), cell, base)


def _with(cell: Cell, axis: str, value: Value) -> Cell:
    return Cell(tuple((name, value if name == axis else old) for name, old in cell.axes))


def _where(cell: CellSummary, axis: str, cells: list[CellSummary]) -> str:
    """The other axes that vary in this run, so that the sentence can be read alone."""
    varied = [
        (name, value)
        for name, value in cell.cell.axes
        if name != axis and len({other.cell.get(name) for other in cells}) > 1
    ]
    named = Cell(tuple(varied)).label
    several_suites = len({other.suite for other in cells}) > 1
    return ", ".join(part for part in (named, cell.suite if several_suites else "") if part)


def _contrast(
    pair: _Pair, comparison: Comparison | None, p_adjusted: float, complete: bool
) -> Contrast:
    arm, base = _named(pair, pair.value), _named(pair, pair.reference)
    where = f" for {pair.where}" if pair.where else ""
    if comparison is None:
        sentence = f"cannot compare {arm} with {base}{where}: no valid attempt"
        return _made(pair, None, None, sentence)
    counts = (
        f"{comparison.k}/{comparison.n} against {comparison.reference_k}/{comparison.reference_n}"
    )
    infra = infra_differs(pair.arm.infra, pair.arm.valid, pair.base.infra, pair.base.valid)
    if infra:
        sentence = f"cannot say whether {arm} and {base} differ{where}: {counts}, {infra}"
    elif not complete:
        sentence = f"not decided{where}, the plan was not completed: {arm} {counts} for {base}"
    elif p_adjusted <= ALPHA:
        sentence = _decided(arm, base, where, comparison, counts, p_adjusted)
    else:
        sentence = f"undecided{where}: {arm} {counts} for {base}{_range(comparison)}"
    return _made(pair, comparison, p_adjusted, sentence)


def _named(pair: _Pair, value: Value) -> str:
    return str(value) if pair.axis in ("order", "backend") else f"{pair.axis} {value}"


def _decided(arm: str, base: str, where: str, comparison: Comparison, counts: str, p: float) -> str:
    more = "more" if comparison.effect > 0 else "less"
    low, high = (round(100 * bound) for bound in _bounds(comparison))
    points = round(100 * abs(comparison.effect))
    return (
        f"{arm} fails {more} often than {base}{where}: {counts}, difference {points} points "
        f"[{low}, {high}], p = {p:.2g} ({comparison.test}, Holm)"
    )


def _bounds(comparison: Comparison) -> tuple[float, float]:
    """The interval of the difference, turned so that the stated direction is positive."""
    low, high = comparison.difference.low, comparison.difference.high
    return (low, high) if comparison.effect > 0 else (-high, -low)


def _range(comparison: Comparison) -> str:
    low, high = comparison.difference.low, comparison.difference.high
    return (
        f", p = {comparison.p:.2g}; the difference may lie anywhere from "
        f"{round(100 * low)} to {round(100 * high)} points"
    )


def _made(
    pair: _Pair, comparison: Comparison | None, p_adjusted: float | None, sentence: str
) -> Contrast:
    return Contrast(
        pair.arm.suite,
        pair.axis,
        pair.value,
        pair.reference,
        pair.where,
        comparison,
        p_adjusted,
        sentence,
    )
