"""The device actor: owns one device for the run, supervises the attempts it leads.

A plain class that `placement.py` wraps for Ray, so that a test can use it as it is. It never
imports torch and never creates a CUDA context: an illegal access poisons a context for good.
"""

import os
import socket

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.attempt.supervise import Supervisor
from harness.cluster.devices import Device, GpuHealth
from harness.cluster.members import ActorDescription
from harness.core.events import Event


class DeviceActor:
    """Supervisor of one device."""

    def __init__(self, device: Device, settings: SupervisorSettings) -> None:
        self._device = device
        self._settings = settings
        self._supervisor: Supervisor | None = None
        self._health = GpuHealth(device) if device.kind == "cuda" else None
        self._events: list[tuple[int, Event]] = []

    def describe(self) -> ActorDescription:
        """Return where this actor lives."""
        return ActorDescription(self._device, socket.gethostname(), os.getpid())

    def check_device(self) -> str | None:
        """Return why the device may not be used, None if it is clean. Called before each lease."""
        return self._health.find_fault() if self._health else None

    def warm(self) -> None:
        """Have a zygote ready. Called before the first lease, of actors that may lead."""
        self._supervise().warm()

    def run_attempt(self, spec: AttemptSpec) -> AttemptRecord:
        """Run one attempt that this actor leads, to its end."""
        self._events = []
        return self._supervise().run(spec, lambda rank, event: self._events.append((rank, event)))

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

    def _supervise(self) -> Supervisor:
        if self._supervisor is None:
            self._supervisor = Supervisor(self._settings)
        return self._supervisor
