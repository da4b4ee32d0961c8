"""The device actor: owns one device for the run, supervises the attempts it leads.

A plain class, wrapped by Ray late (`pool.py`), so that a test can use it as it is. It never
imports torch and never creates a CUDA context: an illegal access poisons a context for good.
"""

import os
import socket
from typing import Any

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.attempt.supervise import Supervisor
from harness.cluster.devices import Device, GpuHealth


class DeviceActor:
    """Supervisor of one device."""

    def __init__(self, device: Device, settings: SupervisorSettings) -> None:
        self._device = device
        self._settings = settings
        self._supervisor: Supervisor | None = None
        self._health = GpuHealth(device) if device.kind == "cuda" else None
        self._events: list[tuple[int, dict[str, Any]]] = []

    def describe(self) -> dict[str, Any]:
        """Where this actor lives."""
        return {"node": socket.gethostname(), "pid": os.getpid(), "device": self._device}

    def unclean(self) -> str | None:
        """Called before each lease: why the device may not be used, None where it is clean."""
        return self._health.unclean() if self._health else None

    def warm(self) -> None:
        """Called before the first lease, of actors that may lead: their zygote is no attempt's."""
        self._supervise().warm()

    def _supervise(self) -> Supervisor:
        if self._supervisor is None:
            self._supervisor = Supervisor(self._settings)
        return self._supervisor

    def run_attempt(self, spec: AttemptSpec) -> AttemptRecord:
        """Run one attempt that this actor leads, to its end."""
        self._events = []
        return self._supervise().run(spec, lambda rank, event: self._events.append((rank, event)))

    def peek(self, start: int) -> list[tuple[int, dict[str, Any]]]:
        """Events of the attempt in flight from number `start` on. Called while it runs."""
        return self._events[start:]

    def cancel(self) -> None:
        """End the attempt in flight. Called while it runs."""
        if self._supervisor:
            self._supervisor.cancel()

    def close(self) -> None:
        """Called once, when the run is over: no process may be left."""
        if self._supervisor:
            self._supervisor.close()
            self._supervisor = None
