"""Makes attempts, one at a time: files and keeper in, a record out."""

import os
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace

from harness.attempt.caches import Caches, has_passed
from harness.attempt.collecting import collect_files, keep_temporary
from harness.attempt.coredump import add_faulting_kernel
from harness.attempt.evidence import EvidenceFolder, collect_evidence, needs_evidence
from harness.attempt.flight import read_records, request_records
from harness.attempt.keeper import KeeperLost, KeeperRefused, kill_marked
from harness.attempt.launch import (
    Launch,
    make_log_path,
    read_tail,
    records_flight,
    restore_folder,
)
from harness.attempt.limits import LOOK_SECONDS
from harness.attempt.memcheck import add_memcheck
from harness.attempt.observing import (
    FOLDER,
    collect_observed,
    describe_parts,
    describe_unobserved,
    read_progress,
)
from harness.attempt.oom_kills import count_oom_kills
from harness.attempt.ports import PortBlock, fill_in
from harness.attempt.preloading import read_import_report
from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.attempt.stream import OnEvent, Recorder
from harness.attempt.watch import Watch
from harness.attempt.witness import ReadDevices
from harness.attempt.zygotes import Place, Zygotes
from harness.core.flight import describe_collectives


class Supervisor:
    """Owns the keepers of one actor. `run` in one thread; `cancel` from any."""

    def __init__(
        self, settings: SupervisorSettings, read_devices: ReadDevices | None = None
    ) -> None:
        """read_devices: what to ask for the devices' state once an attempt goes wrong."""
        self._settings = settings
        self._read_devices = read_devices
        self._zygotes = Zygotes(settings)
        self._caches = Caches()
        self._cancel_reader, self._cancel_writer = os.pipe()
        os.set_blocking(self._cancel_reader, False)
        self._lock = threading.Lock()
        self._in_flight = False

    def run(self, spec: AttemptSpec, on_event: OnEvent) -> AttemptRecord:
        """Make one attempt. Trouble of our own is the record's `error`; `on_event` may raise."""
        settings = self._settings
        if spec.isolation != settings.isolation or not self._can_run(spec.python):
            raise ValueError(
                f"this supervisor serves {settings.isolation} of {settings.python} only"
            )
        caches = self._caches.open(spec)
        found = self._caches.make_environment(spec.caches, spec.python, spec.env)
        whole = replace(spec, env={**found, **spec.env})
        with closing(PortBlock(spec.seed)) as ports:
            record = self._run_until_accepted(fill_in(whole, ports), on_event)
        record.compiled = caches.close(passed=has_passed(record))
        if record.unconfined and record.error is None:
            record.notes.append(f"not sandboxed: {record.unconfined}")
        if record.unobserved:
            record.notes.append(describe_unobserved(record.unobserved))
        if spec.limits and record.sampled:
            record.notes.append(
                f"limits are kept by looking every {LOOK_SECONDS:g} s: more may be used in between"
            )
        if record.compiled:
            record.notes.append("compiled kernels: its compiler caches were cold")
        return record

    def _run_until_accepted(self, spec: AttemptSpec, on_event: OnEvent) -> AttemptRecord:
        try:
            return self._run_once(spec, on_event)
        except KeeperRefused as refusal:
            # Next with less preloaded, then spawned: neither is refused for ever.
            self._zygotes.refuse(spec, str(refusal))
            return self._run_until_accepted(spec, on_event)

    def _run_once(self, spec: AttemptSpec, on_event: OnEvent) -> AttemptRecord:
        try:
            place = self._zygotes.take(spec)
        except KeeperLost as error:
            now = time.time()
            return AttemptRecord(keeper_id="", started=now, ended=now, error=str(error))
        record = AttemptRecord(
            keeper_id=place.keeper.id,
            started=time.time(),
            isolation=place.isolation,
            hash_seed=place.hash_seed,
            notes=[place.note] if place.note else [],
        )
        self._set_in_flight(True)
        try:
            self._attempt(spec, place, record, on_event)
        finally:
            self._set_in_flight(False)
        return record

    def _can_run(self, python: str) -> bool:
        """A fork is what its zygote is; a spawned rank has whatever interpreter is under test."""
        return self._settings.isolation == "spawn" or python == self._settings.python

    def warm(self) -> None:
        """Have a keeper ready. One that does not come up is the next attempt's trouble to tell."""
        with suppress(KeeperLost):
            settings = self._settings
            self._zygotes.warm(self._caches.make_environment(settings.caches, settings.python, {}))

    def cancel(self) -> None:
        """Kill the attempt in flight; its record's error says `cancelled`. None: do nothing."""
        with self._lock:
            if self._in_flight:
                os.write(self._cancel_writer, b"x")

    def close(self) -> None:
        """End the keepers, and whatever is below them."""
        self._zygotes.close()
        self._caches.close()
        os.close(self._cancel_reader)
        os.close(self._cancel_writer)

    def _attempt(
        self, spec: AttemptSpec, place: Place, record: AttemptRecord, on_event: OnEvent
    ) -> None:
        start, oom_kills = time.perf_counter(), count_oom_kills()
        clean = False
        try:
            with (
                closing(Launch(spec, place.environment, self._settings.environment)) as launch,
                Recorder(spec.folder, record, on_event) as recorder,
            ):
                self._start(launch, place, record)
                watch = Watch(spec, place.keeper, recorder, record, launch, self._cancel_reader)
                watch.witness.read_devices = self._read_devices
                if records_flight(spec):
                    watch.witness.ask_ranks = lambda: request_records(launch.captures)
                if record.error is None:
                    self._zygotes.prepare(spec)
                    watch.run()
                record.wall_seconds = time.perf_counter() - start
                if restore_folder(spec.folder):
                    record.notes.append("its folder was removed while it ran: no log is left")
                _take_observed(spec, launch, recorder, record)
                recorder.write_trace()
                if needs_evidence(record) or spec.memcheck:
                    watch.witness.look_afterwards()
                    killed, sighting = count_oom_kills() - oom_kills, watch.witness.sighting
                    record.words = launch.captures.read_words(record, sighting, killed)
                    collectives = tuple(describe_collectives(read_records(launch.captures)))
                    record.words = replace(record.words, collectives=collectives)
                    evidence = EvidenceFolder(spec.folder)
                    if spec.coredump:
                        add_faulting_kernel(evidence, launch.cores)
                    if spec.memcheck:
                        add_memcheck(evidence, launch.cores)
                    collect_evidence(evidence, launch.captures, record.words, sighting)
                    if note := keep_temporary(spec.folder, launch.find_temporary(0)):
                        record.notes.append(note)
            clean = record.error in (None, "cancelled")
            if place.reports_imports and (report := read_import_report(record.events)):
                self._zygotes.learn(spec, report)
        finally:
            if not clean:
                self._zygotes.discard(place.keeper)
                kill_marked(spec.attempt_id)
        record.ended = time.time()
        record.sampled = launch.group is None or spec.limits.processes is not None
        collect_files(spec, record)
        record.log_tails = {
            rank: read_tail(make_log_path(spec.folder, rank)) for rank in range(spec.tp)
        }

    def _start(self, launch: Launch, place: Place, record: AttemptRecord) -> None:
        try:
            sandbox = self._settings.sandbox.make_request(launch)
            place.keeper.start_attempt(place.isolation, launch.ranks, launch.fds, sandbox)
        except KeeperLost as error:
            record.error = str(error)
        launch.release()

    def _set_in_flight(self, value: bool) -> None:
        with self._lock:
            self._in_flight = value
            if not value:
                self._drain_cancels()

    def _drain_cancels(self) -> None:
        try:
            os.read(self._cancel_reader, 4096)
        except BlockingIOError:
            return


def _take_observed(
    spec: AttemptSpec, launch: Launch, recorder: Recorder, record: AttemptRecord
) -> None:
    """Take what the start-up hook saw; if it saw no capture, what the engine itself printed."""
    recorder.take_observed(describe_parts(launch.ranks[0]["env"]))
    recorder.take_observed(collect_observed(launch.observed, spec.folder / FOLDER))
    if not any(event["event"] in ("capture", "hook_capture") for _, event in record.events):
        recorder.take_observed(read_progress(make_log_path(spec.folder, 0)))
