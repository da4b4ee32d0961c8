"""From options and machine to a plan: axes, cells, and which cells cannot run here and why."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from harness.analysis.contrast_pairs import ask_question, list_pairs, name_cells
from harness.core.cell import Axis, Cell, check_distinct, cross
from harness.core.decision_rule import Alternative, DecisionRule
from harness.core.errors import UsageError
from harness.core.known_flakes import flake_from_dict
from harness.core.order import CaptureOrder, decide_order
from harness.core.plan import Plan, PlannedCell
from harness.core.revision import Revision
from harness.core.suite import (
    EngineDeclaration,
    SuiteDeclarations,
    SuiteRef,
    clashes,
    parse_suite,
    role_backends,
)
from harness.driver.applicability import find_misfits
from harness.driver.axes import Machine, check_axes, complete_axes, list_engine_names
from harness.driver.options import RunOptions
from harness.driver.preflight import check_model, read_head_dim
from harness.driver.revisions.sources import (
    Source,
    check_measurable,
    read_sources,
    revision_axis,
)
from harness.stats.boundary import Design, choose_rule
from harness.stats.judge import is_settled
from harness.stats.planned import CellOutcomes


def make_plan(
    options: RunOptions,
    device: str,
    devices_on_a_node: int,
    seed: int,
    in_ci: bool,
    revisions: Sequence[Revision] = (),
) -> Plan:
    """Decide every cell. Raises UsageError for anything that cannot be meant.

    device: `cpu` or `cuda`; devices_on_a_node: the largest gang that can be leased; revisions:
    their worktrees stand.
    """
    setups = options.setups
    refs = [_make_reference(text, options) for text in options.suites]
    sources = read_sources(refs, revisions)
    machine = Machine(device, devices_on_a_node)
    axes = {
        ref.key: complete_axes(
            options.axes, machine, any(ref.key in s.engines for s in sources), setups.get(ref.key)
        )
        for ref in refs
    }
    names = list_engine_names(one for source in sources for one in source.declared.values())
    for key, every in axes.items():
        laid_over = setups[key].axes if key in setups else {}
        check_axes([one for one in every if one.name not in laid_over], machine, names)
    for source in sources:
        for ref in refs:
            source.attempt(ref, partial(_check_models, ref, source, axes[ref.key]))
    check_measurable(refs, sources)
    cells = tuple(
        _plan_cell(ref, source, cell, device)
        for ref in refs
        for cell in _cross_with_revisions(axes[ref.key], revisions)
        for source in sources
        if source.holds(cell)
    )
    plan = Plan(
        *(cells, options.repeats, seed, options.fixed_seed, in_ci),
        until_decided=options.until is not None,
        max_flake_rate=options.max_flake_rate,
        known_flakes=tuple(map(flake_from_dict, options.flakes)) if options.known_flakes else None,
        expected_rates=(options.base_rate, options.target_rate),
        revisions=tuple(revisions),
        warmup=options.warmup,
    )
    plan = replace(plan, rule=_choose_rule(plan, Alternative(options.alternative)))
    if plan.runnable and plan.until_decided:
        _check_decidable(plan)
    return plan


def _make_reference(text: str, options: RunOptions) -> SuiteRef:
    if text in options.setups:
        return options.setups[text].make_reference(text)
    if "--pyargs" in options.suite_args:
        return SuiteRef("", (), text)  # a package, which pytest finds
    return parse_suite(text)


def _cross_with_revisions(axes: Sequence[Axis], revisions: Sequence[Revision]) -> list[Cell]:
    every = [*axes, *revision_axis(revisions)]
    check_distinct(every)
    return cross(every)


def _choose_rule(plan: Plan, alternative: Alternative) -> DecisionRule:
    """Return how the run will be judged: calibrated for its cap if it runs until decided."""
    if not plan.until_decided:
        return DecisionRule()
    design = Design(plan.repeats, plan.expected_rates, alternative)
    return choose_rule(design, len(list_pairs(plan)))


def _check_decidable(plan: Plan) -> None:
    """Raises UsageError where there is nothing to decide, or no outcome could decide it."""
    names = name_cells(plan.runnable).values()

    def hopeless(repeats: int) -> bool:
        planned = replace(plan, repeats=repeats)
        planned = replace(planned, rule=_choose_rule(planned, plan.rule.alternative))
        question = ask_question(planned)
        return is_settled(question, {name: CellOutcomes((), repeats) for name in names})

    if hopeless(plan.repeats):
        enough = next(n for n in range(plan.repeats, 10_000) if not hopeless(n))
        raise UsageError(
            f"--until decided --repeats {plan.repeats}: no outcome of so few attempts could "
            f"decide; give --repeats {enough} at the very least"
        )


def _check_models(ref: SuiteRef, source: Source, axes: list[Axis]) -> None:
    """Raise UsageError if a checkpoint that a class or an axis names cannot be used."""
    declared = source.declared[ref.key]
    varied = {axis.name: axis.values for axis in axes}
    tps = [int(value) for value in varied.get("tp", ())]
    folders = {
        (
            str(folder),
            "dummy" not in varied.get("load_format", (one.engine_args.get("load_format"),)),
        )
        for one in _select_declarations(ref, declared).values()
        for name in ("model", "draft_model")
        for folder in varied.get(name, (one.engine_args.get(name),))
        if folder is not None
    }
    for folder, has_weights in sorted(folders):
        check_model(folder, ref.path, tps, has_weights, source.folder)


def _select_declarations(
    ref: SuiteRef, declared: SuiteDeclarations
) -> dict[str, EngineDeclaration]:
    """What the suite holds: class name to declaration; `""` for plain tests of the module."""
    if ref.parts and ref.parts[0] in declared.classes:
        return {ref.parts[0]: declared.classes[ref.parts[0]]}
    held = {} if ref.parts else dict(declared.classes)
    if ref.parts or declared.has_plain_tests or not held:
        held[""] = declared.module
    return held


def _plan_cell(ref: SuiteRef, source: Source, cell: Cell, device: str) -> PlannedCell:
    if ref.key in source.refused:
        return PlannedCell(ref.key, cell, refused=source.refused[ref.key])
    held = _select_declarations(ref, source.declared[ref.key])
    axes = cell.as_dict()
    barred = {
        name: found
        for name, one in held.items()
        if (found := clashes(one, axes) or _find_misfits(ref, source, one, axes, device))
    }
    notes = tuple(
        f"{name or 'plain tests'} not applicable: {'; '.join(found)}"
        for name, found in barred.items()
    )
    planned = PlannedCell(ref.key, cell, notes=notes)
    if len(barred) == len(held):
        return replace(planned, refused="; ".join(notes))
    return replace(planned, deselect=tuple(f"{ref.path}::{name}" for name in barred if name))


def _find_misfits(
    ref: SuiteRef,
    source: Source,
    declared: EngineDeclaration,
    axes: Mapping[str, object],
    device: str,
) -> list[str]:
    """Return why this project's engine cannot be built in a cell; another engine decides itself."""
    if ref.key not in source.engines:
        return []
    head_dim = partial(read_head_dim, suite=ref.path, root=source.folder)
    return find_misfits(declared, axes, device, head_dim)


def gate_order(declaration: EngineDeclaration, cell: Cell, in_ci: bool) -> CaptureOrder:
    """What the ordering gate decides for one class in one cell."""
    backends_by_role = role_backends(declaration.engine_args, cell.as_dict())
    return decide_order(in_ci, *backends_by_role.values())
