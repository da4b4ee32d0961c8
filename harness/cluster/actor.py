"""The device actor: owns one device for the run, supervises the attempts it leads.

A plain class that `actors.py` wraps for Ray, so that a test can use it as it is. It never imports
torch and never creates a CUDA context: an illegal access poisons a context for good.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from harness.attempt.scratch import Scratch, remove_abandoned
from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.attempt.supervise import Supervisor
from harness.cluster.devices import Device, GpuHealth, find_assigned_gpu
from harness.cluster.files import read_files
from harness.cluster.gpu_state import XidWatch, read_gpu_state
from harness.cluster.members import ActorDescription
from harness.cluster.place import find_place_fault
from harness.core.events import Event


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """A record, with the attempt's files if they were asked for; or why this node made none."""

    record: AttemptRecord | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    unusable: str | None = None
    before_start: bool = True
    """Without a record: no process of the suite can have started."""


class DeviceActor:
    """Supervisor of one device."""

    def __init__(
        self,
        device: Device | None,
        settings: SupervisorSettings,
        baseline_bytes: int | None = None,
        shares: int = 1,
    ) -> None:
        """device: None for the GPU that Ray assigns. baseline_bytes: None to measure it now."""
        remove_abandoned()
        self._device = device or find_assigned_gpu()
        self._settings = settings
        self._supervisor: Supervisor | None = None
        self._health = (
            GpuHealth(self._device, baseline_bytes, shares) if self._device.kind == "cuda" else None
        )
        self._xids = XidWatch([self._device.id]) if self._device.kind == "cuda" else None
        self._gang: tuple[str, ...] = ()
        self._events: list[tuple[int, Event]] = []

    def describe(self) -> ActorDescription:
        """Return where this actor lives."""
        baseline = self._health.baseline_bytes if self._health else None
        return ActorDescription(self._device, socket.gethostname(), os.getpid(), baseline)

    def check_device(self) -> str | None:
        """Return why the device may not be used, None if it is clean. Called before each lease."""
        return self._health.find_fault() if self._health else None

    def warm(self) -> None:
        """Have a zygote ready. Called before the first lease, of actors that may lead."""
        self._supervise().warm()

    def run_attempt(self, spec: AttemptSpec, is_remote: bool) -> AttemptOutcome:
        """Run one attempt that this actor leads, to its end.

        is_remote: the attempt's folder is on another machine, so its files are returned.
        """
        self._events = []
        if not is_remote:
            return self._run(spec)
        with closing(Scratch()) as scratch:
            folder = scratch.path / spec.attempt_id
            outcome = self._run(replace(spec, folder=folder))
            return replace(outcome, files=read_files(folder))

    def read_events(self, start: int) -> list[tuple[int, Event]]:
        """Return the attempt's events from number `start` on. Called while it runs."""
        return self._events[start:]

    def cancel(self) -> None:
        """End the attempt in flight. Called while it runs."""
        if self._supervisor:
            self._supervisor.cancel()

    def close(self) -> None:
        """End every process of this actor. Called once, when the run is over."""
        if self._supervisor:
            self._supervisor.close()
            self._supervisor = None

    def _run(self, spec: AttemptSpec) -> AttemptOutcome:
        self._gang = spec.visible_devices
        fault = find_place_fault(spec)
        if fault is not None:
            return AttemptOutcome(unusable=fault)
        try:
            record = self._supervise().run(
                spec, lambda rank, event: self._events.append((rank, event))
            )
        except OSError as error:
            # The attempt's own files: a full disk, a folder that was taken away.
            fault = f"the attempt's files cannot be written: {error}"
            return AttemptOutcome(unusable=fault, before_start=False)
        return AttemptOutcome(record)

    def _supervise(self) -> Supervisor:
        if self._supervisor is None:
            settings, device = self._settings, self._device
            seen = settings.limit_to_gpu(device.id) if device.kind == "cuda" else settings
            self._supervisor = Supervisor(seen, self._read_devices)
        return self._supervisor

    def _read_devices(self) -> dict[str, Any] | None:
        """Return the state of the gang's GPUs. Called once an attempt has gone wrong."""
        return read_gpu_state(self._gang, self._xids) if self._xids else None
