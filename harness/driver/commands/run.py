"""`harness run`: plan, store the plan, run it, report."""

import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console

from harness.attempt.spec import Isolation
from harness.cluster.broker_process import BrokerProcess
from harness.cluster.devices import DeviceKind, choose_kind, count_usable_cores, find_gpus
from harness.cluster.members import Member
from harness.cluster.messages import PoolSettings
from harness.core.order import is_in_ci
from harness.core.plan import Plan, plan_to_dict, schedule
from harness.core.records import RunRecord
from harness.core.revision import Revision
from harness.driver import messages
from harness.driver.announce import print_plan
from harness.driver.configuration.suites import choose_suites, list_suite_files
from harness.driver.context import RunContext, make_run_folder_path
from harness.driver.disk import check_disk
from harness.driver.execution import Session, execute
from harness.driver.fingerprint import fingerprint
from harness.driver.interruption import end_on_signals
from harness.driver.options import RunOptions, store_options
from harness.driver.outputs import Outputs
from harness.driver.ownership import identify_driver, own_run
from harness.driver.planning import make_plan
from harness.driver.processes import (
    choose_environment,
    choose_isolation,
    describe_sandbox,
    make_supervisor_settings,
)
from harness.driver.queue import list_planned
from harness.driver.revisions.open import open_revisions
from harness.driver.state import locate_store, refuse_tracked_state
from harness.store.open import open_store
from harness.store.store import Store


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run that is asked for, with all that is decided before Ray is started."""

    options: RunOptions
    revisions: tuple[Revision, ...]
    device: DeviceKind
    isolation: Isolation
    slots: int
    seed: int
    in_ci: bool

    def make_plan(self, devices_on_a_node: int) -> Plan:
        """Return the plan for this many devices. Raise UsageError if it cannot be meant."""
        return make_plan(
            self.options, self.device, devices_on_a_node, self.seed, self.in_ci, self.revisions
        )

    def choose_pool(self, store: Store) -> PoolSettings:
        """Return the pool that the run needs."""
        return PoolSettings(
            kind=self.device,
            slots=self.slots,
            address=self.options.address,
            supervisor=make_supervisor_settings(
                self.options, self.device, self.isolation, self.revisions, store.path
            ),
            shares=self.options.per_gpu,
            needed=find_least_tp(self.options),
        )


def start_run(
    options: RunOptions,
    location: str | None,
    outputs: Outputs,
    verbose: bool,
    broker: BrokerProcess,
) -> int:
    """Measure what the options ask for. Return the exit code.

    broker: started with the options' address; it is ended before this returns.
    """
    outputs.check()
    refuse_tracked_state()
    options = choose_suites(options)
    with open_revisions(options) as (options, revisions):
        request = make_request(options, revisions)
        if options.address is None:
            # Every mistake is found before Ray's five seconds are spent.
            request.make_plan(count_local_devices(request))
        location = location or locate_store(of_revisions=bool(revisions))
        with end_on_signals() as interruption, open_store(location, write=True) as store:
            return _measure(request, Session(store, outputs, interruption, verbose), broker)


def find_least_tp(options: RunOptions) -> int:
    """Return how many devices of one node the smallest named gang needs; 1 if none is named."""
    named = [int(v) for axis in options.axes if axis.name == "tp" for v in axis.values]
    return min(named, default=1)


def make_request(options: RunOptions, revisions: tuple[Revision, ...]) -> RunRequest:
    """Return what a run of these options needs of this machine."""
    device = choose_kind(options.device)
    return RunRequest(
        options=options,
        revisions=revisions,
        device=device,
        isolation=choose_isolation(options, device),
        slots=options.slots or count_usable_cores(),
        seed=options.seed if options.seed is not None else secrets.randbelow(1 << 31),
        in_ci=is_in_ci(os.environ),
    )


def count_local_devices(request: RunRequest) -> int:
    """Return how many devices this machine has for the run."""
    return request.slots if request.device == "cpu" else len(find_gpus()[0])


def _measure(request: RunRequest, session: Session, broker: BrokerProcess) -> int:
    from harness.cluster.pool import open_pool

    console, options = Console(stderr=True), request.options
    if withheld := choose_environment(options, request.revisions).withheld:
        console.print(messages.say_withheld(withheld), soft_wrap=True)
    with open_pool(request.choose_pool(session.store), broker) as pool:
        plan = request.make_plan(pool.largest_gang())
        record = make_record(request, plan, pool.members)
        context = RunContext(record, plan, options, request.isolation)
        check_disk(context.folder, len(schedule(plan)))
        session.interruption.install()  # Ray has handlers of its own
        with own_run(record, context.folder):
            print_plan(console, context, session.store, len(pool.members))
            session.store.add_run(record)
            return execute(context, pool, session, list_planned(plan))


def make_record(request: RunRequest, plan: Plan, members: Sequence[Member]) -> RunRecord:
    """Return the run as it is stored before its first attempt."""
    devices: list[dict[str, Any]] = [
        {**asdict(member.device), "node": member.host} for member in members
    ]
    run_id = secrets.token_hex(4)  # eight characters that no shell and no file system minds
    folder = make_run_folder_path(run_id, of_revisions=bool(plan.revisions))
    return RunRecord(
        id=run_id,
        created=time.time(),
        seed=plan.seed,
        device=request.device,
        plan=plan_to_dict(plan),
        options=store_options(replace(request.options, isolation=request.isolation)),
        fingerprint={
            **fingerprint(devices, () if plan.revisions else list_suite_files(request.options)),
            "sandbox": describe_sandbox(request.options),
        },
        driver=identify_driver(folder),
    )
