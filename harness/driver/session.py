"""The commands around a run: start, resume, rerun one attempt, show, list."""

import os
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from harness.analysis.summary import cell_of, summarise
from harness.analysis.verdict import decide
from harness.attempt.settings import SupervisorSettings
from harness.cluster.devices import DeviceKind, choose_kind, count_usable_cores
from harness.cluster.interface import DevicePool
from harness.cluster.members import Member
from harness.core.cell import Axis
from harness.core.errors import NoDeviceError, UsageError
from harness.core.exits import ExitCode
from harness.core.order import is_in_ci
from harness.core.plan import Plan, missing, plan_from_dict, plan_to_dict, schedule
from harness.core.records import AttemptRow, RunRecord
from harness.core.revision import AXIS, Revision
from harness.core.statuses import AttemptStatus, RunStatus
from harness.driver.announce import print_plan
from harness.driver.fingerprint import fingerprint
from harness.driver.options import RunOptions
from harness.driver.outputs import Outputs
from harness.driver.planning import make_plan
from harness.driver.progress import Progress
from harness.driver.revisions.open import opened
from harness.driver.revisions.worktrees import standing
from harness.driver.run import Run, new_run_id
from harness.driver.stopping import Ended, Stopping
from harness.report.run_json import run_json
from harness.report.table import print_report
from harness.store.open import open_store
from harness.store.store import Store

#: What a zygote imports before it forks: the cost of an attempt that repeats need not pay.
_PRELOAD = ("pytest", "torch", "harness.engine.engine", "harness.engine.follower")
#: The same for revisions: what every revision's engine stands on, and nothing of a revision.
_TRUSTED_PRELOAD = ("pytest", "torch", "numpy", "safetensors", "tqdm")


def start_run(options: RunOptions, location: str | None, outputs: Outputs, verbose: bool) -> int:
    """`harness run`: plan, store the plan, run it, report. Returns the exit code."""
    with opened(options) as (options, revisions):
        return _start(options, location, outputs, verbose, revisions)


def _start(
    options: RunOptions,
    location: str | None,
    outputs: Outputs,
    verbose: bool,
    revisions: tuple[Revision, ...],
) -> int:
    from harness.cluster.pool import open_pool

    outputs.check()
    kind = choose_kind(options.device)
    isolation = choose_isolation(
        options.isolation or ("spawn" if options.rev_pythons else None), kind
    )
    slots = options.slots or count_usable_cores()
    seed = options.seed if options.seed is not None else secrets.randbelow(1 << 31)
    in_ci = is_in_ci(os.environ)
    if options.address is None:
        # Everything that can be wrong is found before Ray's five seconds are spent.
        make_plan(options, kind, _local_devices(kind, slots), seed, in_ci, revisions)
    store = Store(open_store(location, write=True))
    console = Console(stderr=True)
    try:
        console.print("starting Ray" if options.address is None else f"joining {options.address}")
        settings = supervisor_settings(isolation, revisions)
        with open_pool(kind, slots, options.address, settings) as pool:
            plan = make_plan(options, kind, pool.largest_gang(), seed, in_ci, revisions)
            record = _new_record(plan, options, kind, isolation, pool.members)
            store.add_run(record)
            print_plan(console, record, plan, options, store, isolation, len(pool.members))
            return _execute(record, plan, options, store, pool, outputs, verbose, schedule(plan))
    finally:
        store.close()


def resume_run(
    name: str, location: str | None, outputs: Outputs, verbose: bool, address: str | None
) -> int:
    """`harness run --resume RUN`: finish exactly what is missing of a stored run."""
    from harness.cluster.pool import open_pool

    outputs.check()
    store = Store(open_store(location, write=True))
    try:
        record = store.run(name)
        plan = plan_from_dict(record.plan)
        options = _stored_options(record, address)
        known = [
            row for row in store.attempts(record.id) if row.status is not AttemptStatus.CENSORED
        ]
        queue = missing(plan, [row.position for row in known])
        if not queue or Stopping(plan, [_ended(row) for row in known]).settled():
            return _report(store, record.id, outputs)
        kind, isolation = _stored_kind(record), record.options["isolation"]
        slots = options.slots or count_usable_cores()
        settings = supervisor_settings(isolation, plan.revisions)
        with standing(plan.revisions), open_pool(kind, slots, address, settings) as pool:
            store.reopen_run(record.id)
            Console(stderr=True).print(f"run {record.id}: {len(queue)} attempts are missing")
            return _execute(record, plan, options, store, pool, outputs, verbose, queue)
    finally:
        store.close()


def show_run(name: str, location: str | None, outputs: Outputs) -> int:
    """`harness report`: the same table, from the store alone."""
    outputs.check()
    store = Store(open_store(location, write=False))
    try:
        return _report(store, store.run(name).id, outputs)
    finally:
        store.close()


def list_runs(location: str | None) -> int:
    """`harness runs`: one line per stored run."""
    from rich.table import Table

    store = Store(open_store(location, write=False))
    try:
        table = Table(box=None)
        for name in ("run", "started", "status", "device", "attempts", "failed", "suites"):
            table.add_column(name)
        for record in store.runs():
            rows = store.attempts(record.id)
            plan = plan_from_dict(record.plan)
            table.add_row(
                record.id,
                time.strftime("%Y-%m-%d %H:%M", time.localtime(record.created)),
                record.status,
                record.device,
                f"{len(rows)}/{len(schedule(plan))}",
                str(sum(row.status is AttemptStatus.FAILED for row in rows)),
                escape(", ".join(dict.fromkeys(planned.suite for planned in plan.cells))),
            )
        Console().print(table)
    finally:
        store.close()
    return ExitCode.OK


def supervisor_settings(isolation: str, revisions: Sequence[Revision]) -> SupervisorSettings:
    """How device actors make their supervisors. No code of a revision runs in a keeper."""
    return SupervisorSettings(
        python=sys.executable,
        isolation="fork" if isolation == "fork" else "spawn",
        cwd=None if revisions else Path.cwd(),
        preload=_TRUSTED_PRELOAD if revisions else _PRELOAD,
    )


def choose_isolation(requested: str | None, kind: str) -> str:
    """Fork on CPU, spawn on CUDA. Raises UsageError for fork on CUDA."""
    if requested == "fork" and kind == "cuda":
        raise UsageError("--isolation fork needs --device cpu: a CUDA context does not survive it")
    return requested or ("fork" if kind == "cpu" else "spawn")


def _local_devices(kind: str, slots: int) -> int:
    from harness.cluster.devices import find_gpus

    return slots if kind == "cpu" else len(find_gpus()[0])


def _new_record(
    plan: Plan, options: RunOptions, kind: str, isolation: str, members: Sequence[Member]
) -> RunRecord:
    devices = [{**asdict(member.device), "node": member.node} for member in members]
    return RunRecord(
        id=new_run_id(),
        created=time.time(),
        seed=plan.seed,
        device=kind,
        plan=plan_to_dict(plan),
        options={**asdict(options), "isolation": isolation},
        fingerprint=fingerprint(devices),
    )


def _stored_options(record: RunRecord, address: str | None) -> RunOptions:
    stored = {**record.options, "address": address}
    stored["axes"] = tuple(Axis(a["name"], tuple(a["values"])) for a in stored["axes"])
    for name in ("suites", "revs", "rev_pythons"):
        stored[name] = tuple(stored.get(name, ()))
    return RunOptions(**stored)


def _stored_kind(record: RunRecord) -> DeviceKind:
    return "cuda" if record.device == "cuda" else "cpu"


def _execute(
    record: RunRecord,
    plan: Plan,
    options: RunOptions,
    store: Store,
    pool: DevicePool,
    outputs: Outputs,
    verbose: bool,
    queue: list[Any],
) -> int:
    total = len(schedule(plan))
    stopping = Stopping(plan, [_ended(row) for row in store.attempts(record.id)])
    pool.warm(min(planned.cell.tp for planned in plan.runnable))
    progress = Progress(total, total - len(queue), verbose)
    isolation = record.options["isolation"]
    status = RunStatus.FAILED
    try:
        run = Run(record.id, plan, options, isolation, store, pool, progress, queue, stopping)
        status = run.execute()
    finally:
        progress.close()
        store.end_run(record.id, status)
    return _report(store, record.id, outputs)


def _ended(row: AttemptRow) -> Ended:
    return Ended(row.position, row.replaces, row.suite, row.cell, row.status)


def _report(store: Store, run_id: str, outputs: Outputs) -> int:
    summary = summarise(store.run(run_id), store.attempts(run_id), store.test_counts(run_id))
    verdict = decide(summary)
    print_report(summary, verdict, Console())
    outputs.write(run_json(summary, verdict))
    return verdict.exit_code


def rerun_attempt(name: str, location: str | None) -> int:
    """`harness rerun ATTEMPT`: one attempt again, on the same device where it is free."""
    from harness.cluster.pool import open_pool
    from harness.driver.rerun import rerun_once

    store = Store(open_store(location, write=False))
    try:
        row = store.attempt(name)
        record = store.run(row.run_id)
    finally:
        store.close()
    options = replace(_stored_options(record, None), keyword=record.options["keyword"])
    isolation = record.options["isolation"]
    slots = options.slots or count_usable_cores()
    revisions = [
        one
        for one in plan_from_dict(record.plan).revisions
        if one.label == cell_of(row.cell).get(AXIS)
    ]
    settings = supervisor_settings(isolation, revisions)
    with standing(revisions), open_pool(_stored_kind(record), slots, None, settings) as pool:
        if pool.largest_gang() < len(row.devices):
            raise NoDeviceError(f"attempt {row.id} needs {len(row.devices)} devices of one node")
        return rerun_once(row, record, options, pool)
