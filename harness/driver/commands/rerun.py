"""`harness rerun ATTEMPT`: one stored attempt again, with the same seed, cell and environment."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from harness.attempt.cuda_tools import find_cuda_tool
from harness.attempt.memcheck import MEMCHECK, TOOL
from harness.cluster.devices import count_usable_cores
from harness.cluster.interface import DevicePool, Loss
from harness.cluster.members import Gang
from harness.cluster.messages import PoolSettings
from harness.core.cell import parse_cell_key
from harness.core.errors import NoDeviceError, UsageError
from harness.core.exits import ExitCode
from harness.core.fold import fold
from harness.core.kinds import CUDA_KINDS
from harness.core.records import AttemptRow
from harness.core.result import AttemptResult, Ending
from harness.core.statuses import AttemptStatus
from harness.driver import messages
from harness.driver.attempts import make_ending, make_spec
from harness.driver.context import RunContext
from harness.driver.evidence import KERNEL, copy_item, read_item
from harness.driver.interruption import end_on_signals
from harness.driver.processes import make_supervisor_settings
from harness.driver.rerunning import find_attempt, find_revisions, plan_again
from harness.driver.revisions.worktrees import hold_worktrees
from harness.report.evidence_folder import read_folder
from harness.report.terminal import print_line

_EXIT_CODES = {
    AttemptStatus.PASSED: ExitCode.OK,
    AttemptStatus.FAILED: ExitCode.FAILURES,
    AttemptStatus.INFRA: ExitCode.NO_VALID_ATTEMPT,
}
#: memcheck looks at every access of every kernel.
MEMCHECK_SLOWDOWN = 20
_ONE_SEED = "no interval: repeats of one seed are not independent attempts"


@dataclass(frozen=True, slots=True)
class _Made:
    """One attempt that was made again."""

    result: AttemptResult
    folder: Path


def rerun_attempt(
    name: str, location: str | None, repeats: int = 1, *, memcheck: bool = False
) -> int:
    """Make the attempt again, on the same devices if they are free. Return the exit code.

    Nothing is stored. On CUDA a fault of a kernel leaves a core dump, which names the kernel; with
    `memcheck` the ranks run under compute-sanitizer instead. Raise UsageError if they cannot.
    """
    from harness.cluster.pool import open_pool

    row, context = find_attempt(name, location)
    if memcheck:
        _check_memcheck(row, context)
        context = replace(context, isolation="spawn")  # a zygote's child has begun already
    revisions = find_revisions(row, context)
    settings = make_supervisor_settings(
        context.options, context.device, context.isolation, revisions
    )
    slots = context.options.slots or count_usable_cores()
    wanted = PoolSettings(
        kind=context.device, slots=slots, supervisor=settings, shares=context.options.per_gpu
    )
    console = Console()
    what = f"{row.id}, a warm-up attempt" if row.warmup else row.id
    print_line(console, f"{what}, seed {row.seed}: {parse_cell_key(row.cell).label}")
    print_line(console, f"then: {_describe(row.status, row.kind, row.signature)}", indent="  ")
    made: list[_Made] = []
    try:
        with end_on_signals() as interruption, hold_worktrees(revisions), open_pool(wanted) as pool:
            interruption.install()  # Ray has handlers of its own
            for number in range(repeats):
                suffix = f".{number + 1}" if repeats > 1 else ""
                made.append(_run_once(context, row, pool, suffix, memcheck=memcheck))
                _print_made(console, row, made[-1])
    except KeyboardInterrupt as error:
        cause = str(error) or "SIGINT"
        print_line(console, messages.say_rerun_interrupted(cause, len(made), repeats))
        return ExitCode.INTERRUPTED
    if repeats > 1:
        _print_summary(console, made)
    return _EXIT_CODES[_find_worst(made)]


def _check_memcheck(row: AttemptRow, context: RunContext) -> None:
    if context.device != "cuda":
        raise UsageError(f"--memcheck checks CUDA kernels, and {row.id} ran on {context.device}")
    if find_cuda_tool(TOOL) is None:
        raise UsageError(
            f"--memcheck needs {TOOL}, which is neither on PATH nor where CUDA is installed: "
            "install the CUDA toolkit, or set CUDA_HOME"
        )


def _run_once(
    context: RunContext, row: AttemptRow, pool: DevicePool, suffix: str, *, memcheck: bool
) -> _Made:
    gang = _lease(row.devices, pool)
    spec = make_spec(context, f"{row.id}.rerun{suffix}", plan_again(row, context), gang)
    spec = replace(spec, coredump=context.device == "cuda" and not memcheck)
    if memcheck:
        spec = replace(spec, memcheck=True, timeout_s=spec.timeout_s * MEMCHECK_SLOWDOWN)
    shutil.rmtree(spec.folder, ignore_errors=True)  # of an earlier rerun
    outcome = pool.collect(pool.start(gang, spec))
    pool.release(gang)
    if isinstance(outcome, Loss):
        return _Made(fold([], Ending((), infrastructure=outcome.describe())), spec.folder)
    return _Made(fold(outcome.events, make_ending(outcome, spec)), spec.folder)


def _lease(devices: Sequence[str], pool: DevicePool) -> Gang:
    """Lease the same devices, or as many others. Raise NoDeviceError if there are too few."""
    gang = pool.lease_devices(devices)
    if gang is not None:
        return gang
    gang = pool.lease(len(devices))
    if gang is None:
        raise NoDeviceError(f"the attempt needs {len(devices)} free devices of one node")
    text = f"its devices {list(devices)} are not here or not free: others are used"
    print_line(Console(), text)
    return gang


def _print_made(console: Console, row: AttemptRow, made: _Made) -> None:
    failure = made.result.failure
    kind, signature = (failure.kind, failure.signature) if failure else (None, None)
    print_line(console, f"now:  {_describe(made.result.status, kind, signature)}", indent="  ")
    for name in (KERNEL, MEMCHECK):
        summary = read_item(made.folder, name).partition("\n(")[0]  # the tool's own words follow
        for line in summary.splitlines():
            print_line(console, line, "bold", indent="        ")
        # The kernel belongs to the fault that the stored attempt had.
        copy_item(made.folder, Path(row.folder), name)
    missing = [one for one in read_folder(made.folder).not_done if "kernel" in one.what]
    for one in missing if row.kind in CUDA_KINDS else ():
        print_line(console, f"{one.what}: not done, {one.why}", indent="        ")
        command = f"harness rerun {row.id} --memcheck"
        print_line(console, f"{command} names it too, and looks at every access", indent="        ")
    print_line(console, f"logs: {made.folder}", indent="  ")


def _print_summary(console: Console, made: Sequence[_Made]) -> None:
    failed = [one.result.failure for one in made if one.result.status is AttemptStatus.FAILED]
    lost = sum(one.result.status is AttemptStatus.INFRA for one in made)
    text = f"{len(failed)} of {len(made) - lost} failed with this seed ({_ONE_SEED})"
    print_line(console, text + (f"; {lost} lost to infrastructure" if lost else ""), "bold")
    counted = Counter((one.kind, one.signature) for one in failed if one)
    for (kind, signature), n in counted.most_common():
        print_line(console, f"{n}x {kind}: {signature}", indent="  ")


def _find_worst(made: Sequence[_Made]) -> AttemptStatus:
    found = {one.result.status for one in made}
    order = (AttemptStatus.FAILED, AttemptStatus.PASSED, AttemptStatus.INFRA)
    return next(status for status in order if status in found)


def _describe(status: str, kind: str | None, signature: str | None) -> str:
    return f"{status}, {kind}: {signature}" if kind else status
