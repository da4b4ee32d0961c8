"""The comparisons that a plan holds, and the question that they make. Pure.

On every axis each other value is compared with the first, the reference, where all other axes are
equal. In a run until decided each of three or more values is compared with the pooled rest instead.
The plan fixes these comparisons, hence their number, before the first attempt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.core.cell import Cell, Value
from harness.core.plan import Plan, PlannedCell
from harness.core.revision import AXIS
from harness.stats.planned import PlannedContrast, Question


@dataclass(frozen=True, slots=True)
class ContrastPair:
    """Two planned cells that differ on one axis alone. `arm` and `base` are their names.

    `rest`: names of the cells that are pooled instead of one base; the reference is THE_REST.
    """

    suite: str
    axis: str
    value: Value
    reference: Value
    where: str
    arm: str
    base: str
    rest: tuple[str, ...] = ()


#: What the pooled other values of an axis are called.
THE_REST = "the rest"
#: The first version of the rules that compares with the pooled rest.
_POOLING = 3


def list_pairs(plan: Plan) -> list[ContrastPair]:
    """Return every comparison that the plan holds."""
    base = plan.revisions[0].label if plan.revisions else None
    pools = plan.until_decided and plan.rule.version >= _POOLING
    pooled = _pool_values(plan.runnable) if pools else []
    in_groups = {(one.arm, one.axis) for one in pooled}
    # If the base holds no such suite, there is nothing to compare a head with.
    stars = [p for p in _pairs(plan.runnable) if p.axis != AXIS or p.reference == base]
    return [p for p in stars if (p.arm, p.axis) not in in_groups] + pooled


def _pool_values(cells: Sequence[PlannedCell]) -> list[ContrastPair]:
    """Return a comparison of each value with the rest, on axes of three and more values."""
    names = name_cells(cells)
    groups: dict[tuple[str, str, str], list[PlannedCell]] = {}
    for planned in cells:
        for axis, _ in planned.cell.axes:
            others = _replace_value(planned.cell, axis, "").key
            groups.setdefault((planned.suite, axis, others), []).append(planned)
    found = []
    for (suite, axis, _), group in groups.items():
        if axis == AXIS or len(group) <= 2:
            continue
        for planned in group:
            arm = names[suite, planned.cell.key]
            rest = tuple(names[suite, one.cell.key] for one in group if one is not planned)
            value, where = dict(planned.cell.axes)[axis], _describe_rest(planned, axis, cells)
            found.append(ContrastPair(suite, axis, value, THE_REST, where, arm, rest[0], rest))
    return found


def _pairs(cells: Sequence[PlannedCell]) -> Iterator[ContrastPair]:
    names = name_cells(cells)
    references: dict[tuple[str, str], Value] = {}
    for planned in cells:
        for axis, value in planned.cell.axes:
            references.setdefault((planned.suite, axis), value)
    for planned in cells:
        for axis, value in planned.cell.axes:
            reference = references[planned.suite, axis]
            base = names.get((planned.suite, _replace_value(planned.cell, axis, reference).key))
            if value != reference and base:
                arm = names[planned.suite, planned.cell.key]
                where = _describe_rest(planned, axis, cells)
                yield ContrastPair(planned.suite, axis, value, reference, where, arm, base)


def name_cells(cells: Sequence[PlannedCell]) -> dict[tuple[str, str], str]:
    """Return a name of each cell, unique in the run, by suite and cell key: what varies."""
    several = len({planned.suite for planned in cells}) > 1
    varied = {n for p in cells for n, v in p.cell.axes if v != cells[0].cell.get(n)}
    names = {}
    for planned in cells:
        shown = Cell(tuple((n, v) for n, v in planned.cell.axes if n in varied)).label
        parts = (shown, planned.suite if several or not shown else "")
        names[planned.suite, planned.cell.key] = ", ".join(part for part in parts if part)
    return names


def _replace_value(cell: Cell, axis: str, value: Value) -> Cell:
    return Cell(tuple((name, value if name == axis else old) for name, old in cell.axes))


def _describe_rest(planned: PlannedCell, axis: str, cells: Sequence[PlannedCell]) -> str:
    """Return the other axes that vary, so that the sentence can be read alone."""
    varied = [
        (name, value)
        for name, value in planned.cell.axes
        if name != axis and len({other.cell.get(name) for other in cells}) > 1
    ]
    several_suites = len({other.suite for other in cells}) > 1
    parts = (Cell(tuple(varied)).label, planned.suite if several_suites else "")
    return ", ".join(part for part in parts if part)


def ask_question(plan: Plan, *, anytime: bool = False) -> Question:
    """Return the plan's question.

    `anytime`: judge it by what holds at every look, as a run that was cut short must be. Raise
    StatsError if there is nothing to decide.
    """
    contrasts = tuple(
        PlannedContrast(p.arm, p.base, *_name_sides(p), p.where, p.rest) for p in list_pairs(plan)
    )
    until_decided = plan.until_decided or (
        anytime and (bool(contrasts) or plan.max_flake_rate is not None)
    )
    return Question(
        *(contrasts, plan.max_flake_rate, until_decided, plan.expected_rates),
        rule=plan.rule,
        cap=plan.repeats,
    )


def _name_sides(pair: ContrastPair) -> tuple[str, str]:
    """Return what a sentence calls the two: `tp 2` and `tp 1`, or `head 1f..` and `base 0c..`."""
    if pair.axis == AXIS:
        return f"head {pair.value}", f"base {pair.reference}"
    reference = THE_REST if pair.rest else name_value(pair.axis, pair.reference)
    return name_value(pair.axis, pair.value), reference


def name_value(axis: str, value: Value) -> str:
    """Return `descending`, `fa3` or `tp 2`: a value, with its axis if it needs it."""
    return str(value) if axis in ("order", "backend") else f"{axis} {value}"
