"""One attempt between plan, supervisor and store: its specification, its ending, its lease."""

import os
from dataclasses import dataclass, replace

from harness.attempt.caches import CACHES_AXIS
from harness.attempt.spec import AttemptRecord, AttemptSpec, SuiteCommands
from harness.cluster.devices import DeviceKind
from harness.cluster.interface import Loss
from harness.cluster.members import Gang
from harness.core.amplifiers import AMPLIFY_AXIS
from harness.core.cell import Cell
from harness.core.kinds import KindScope
from harness.core.limits import Limits
from harness.core.plan import PlannedAttempt
from harness.core.records import AttemptIdentity, Lease
from harness.core.result import Ending
from harness.core.revision import AXIS
from harness.core.suite import uses_engine
from harness.core.suite_setup import SuiteKind, SuiteSetup
from harness.driver.context import RunContext
from harness.driver.hooking import choose_hook
from harness.driver.option_values import parse_size
from harness.driver.processes import choose_caches
from harness.driver.queue import QueuedAttempt
from harness.driver.revisions.place import find_place

_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class AttemptInFlight:
    """An attempt under way."""

    queued: QueuedAttempt
    gang: Gang
    spec: AttemptSpec
    started: float
    part: int = 0

    def identify(self) -> AttemptIdentity:
        """Return what the store knows the attempt by."""
        planned = self.queued.planned
        return AttemptIdentity(
            id=self.spec.attempt_id,
            run_id=self.spec.run_id,
            position=planned.position,
            replaces=self.queued.replaces,
            suite=planned.suite,
            cell=planned.cell.key,
            repeat=planned.repeat,
            seed=planned.seed,
            launch=self.queued.launch,
            part=self.part,
            warmup=self.queued.warmup,
        )


def make_spec(
    context: RunContext, attempt_id: str, planned: PlannedAttempt, gang: Gang
) -> AttemptSpec:
    """Return all that the supervisor needs for one attempt."""
    options, devices = context.options, [member.device for member in gang.members]
    place = find_place(context.plan.revisions, planned.cell)
    visible = tuple(d.id for d in devices if d.kind == "cuda")
    spec = AttemptSpec(
        run_id=context.run_id,
        attempt_id=attempt_id,
        nodeids=(planned.suite,),
        arguments=options.suite_args,
        deselect=planned.deselect,
        keyword=options.keyword,
        # Neither a revision nor a compiler's cache is an argument of the engine.
        axes={k: v for k, v in planned.cell.axes if k not in (AXIS, CACHES_AXIS, AMPLIFY_AXIS)},
        caches=choose_caches(planned.cell.get(CACHES_AXIS)),
        seed=planned.seed,
        repeat=planned.repeat,
        tp=planned.cell.tp,
        timeout_s=options.timeout_s,
        grace_s=_GRACE_S,
        folder=context.folder / attempt_id,
        isolation=context.isolation,
        limits=Limits(parse_size(options.memory), options.max_processes),
        hook=choose_hook(
            options.patches,
            planned.cell,
            observed=not options.no_observe,
            audited=options.audit,
        ),
        env={
            **_limit_memory(options.per_gpu, devices[0].kind),
            **planned.cell.get_environment(),
            **place.env,
        },
        in_process_reruns=options.in_process_reruns,
        python=place.python,
        cwd=place.cwd,
        device=devices[0].kind,
        devices=tuple(device.id for device in devices),
        visible_devices=visible if planned.cell.tp > 1 else (",".join(visible),) * bool(visible),
        in_ci=context.plan.in_ci,
        uses_engine=uses_engine(planned.suite, place.cwd),
    )
    setup = options.setups.get(planned.suite)
    return apply_setup(spec, setup, planned.cell) if setup else spec


def apply_setup(spec: AttemptSpec, setup: SuiteSetup, cell: Cell) -> AttemptSpec:
    """Return the attempt as the configuration has its suite run in a cell."""
    overlay = setup.lay_over(cell)
    single = setup.kind is not SuiteKind.COMMAND and len(setup.targets) == 1
    return replace(
        spec,
        name=spec.nodeids[0],
        kind=setup.kind.value,
        nodeids=setup.targets,
        arguments=(*overlay.args, *spec.arguments),
        deselect=tuple(one.removeprefix(f"{setup.cwd}/") for one in spec.deselect),
        overlaid=tuple(setup.axes),
        env={**spec.env, **overlay.make_environment()},
        python=str(spec.cwd / setup.python) if setup.python else spec.python,
        cwd=spec.cwd / setup.cwd,
        timeout_s=setup.timeout_s or spec.timeout_s,
        uses_engine=single and uses_engine(setup.targets[0], spec.cwd / setup.cwd),
        commands=SuiteCommands(setup.set_up, setup.tear_down, setup.collect, setup.result),
    )


def _limit_memory(shares: int, device: DeviceKind) -> dict[str, str]:
    """Return what makes torch's allocator keep to an equal part of a shared GPU's memory."""
    if shares == 1 or device == "cpu":
        return {}
    return {"PYTORCH_CUDA_ALLOC_CONF": f"per_process_memory_fraction:{1 / shares:.4f}"}


def make_ending(record: AttemptRecord, spec: AttemptSpec) -> Ending:
    """Return how the processes ended, without the deaths that the supervisor itself caused."""
    own = [end for end in record.exits if end.rank not in record.killed]
    return Ending(
        exits=tuple((end.rank, end.code, end.signal) for end in own),
        timed_out=record.timed_out,
        timeout_s=spec.timeout_s,
        infrastructure=record.error,
        left_behind=tuple(record.orphans),
        scope=KindScope(
            graphs=spec.uses_engine or spec.device == "cuda",
            collectives=spec.tp > 1,
            blocking={**os.environ, **spec.env}.get("CUDA_LAUNCH_BLOCKING") == "1",
        ),
        notes=tuple(record.notes),
        words=record.words,
        limit=record.limit,
    )


def make_lease(attempt: AttemptInFlight, outcome: AttemptRecord | Loss | None) -> Lease:
    """Return what the attempt ran on, for the store. `outcome`: None if it was killed in flight."""
    record = outcome if isinstance(outcome, AttemptRecord) else None
    return Lease(
        devices=tuple(member.device.id for member in attempt.gang.members),
        node=attempt.gang.members[0].host,
        zygote=record.keeper_id if record else "",
        isolation=attempt.spec.isolation,
        started=attempt.started,
        wall_seconds=record.wall_seconds if record else 0.0,
        folder=str(attempt.spec.folder),
        log_tails=_collect_logs(outcome),
        suite_started=_has_suite_started(outcome),
    )


def _collect_logs(outcome: AttemptRecord | Loss | None) -> dict[str, str]:
    """Return the end of each rank's log, or all that is known of a loss."""
    if isinstance(outcome, Loss):
        return {"infrastructure": outcome.detail} if outcome.detail else {}
    return {str(rank): tail for rank, tail in outcome.log_tails.items()} if outcome else {}


def _has_suite_started(outcome: AttemptRecord | Loss | None) -> bool:
    if isinstance(outcome, Loss):
        return not outcome.before_start
    return outcome is None or any(rank == 0 for rank, _ in outcome.events)
