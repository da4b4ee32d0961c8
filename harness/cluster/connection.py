"""Start a Ray of this run's own, or join a cluster. Runs in the broker only."""

import contextlib
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import ray
from ray._private.node import Node
from ray.exceptions import RayError

from harness.cluster.devices import DeviceKind, find_gpus
from harness.cluster.messages import PoolSettings
from harness.cluster.wording import explain_refusal
from harness.core.errors import UsageError

#: How long a Ray address may take to accept a connection.
ADDRESS_WAIT_S = 10.0

#: Only small messages travel: events and log tails. Containers give little shared memory.
_OBJECT_STORE_BYTES = 100 << 20

#: Methods of Ray's node that start a Python process each: the autoscaler's monitor, the dashboard
#: (which `include_dashboard=False` starts all the same, with less in it) and the log monitor.
_HELPERS = ("start_monitor", "start_api_server", "start_log_monitor")


def connect(settings: PoolSettings, folder: Path) -> None:
    """Join the Ray at the settings' address, or start a private one that keeps to `folder`.

    Raise UsageError if the address is not one, does not answer, or refuses us.
    """
    if settings.address is None:
        _start_private(settings.kind, settings.slots, folder)
    else:
        _join(settings.address)


def _start_private(kind: DeviceKind, slots: int, folder: Path) -> None:
    with _leave_out_helpers():
        ray.init(
            address="local",  # a bare init would join whatever RAY_ADDRESS names
            num_cpus=max(slots, 1),
            num_gpus=len(find_gpus()[0]) if kind == "cuda" else 0,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=str(folder),
        )


@contextlib.contextmanager
def _leave_out_helpers() -> Iterator[None]:
    """Keep Ray from starting what a run never asks.

    The three processes import Ray while its own servers and our actors start: a third of the time
    that Ray's start takes on 2 cores.
    """
    before = {name: getattr(Node, name) for name in _HELPERS if hasattr(Node, name)}
    for name in before:
        setattr(Node, name, lambda *_, **__: None)
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(Node, name, method)


def _join(address: str) -> None:
    if address != "auto":
        _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RayError, RuntimeError, ValueError) as error:
        reason = explain_refusal(f"{error}\n{error.__cause__ or ''}")  # a refused token is a cause
        raise UsageError(f"--address {address}: {reason}") from None


def _check_answers(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--address {address!r}: write HOST:PORT or auto")
    try:
        socket.create_connection((host, int(port)), timeout=ADDRESS_WAIT_S).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"--address {address} does not answer within {ADDRESS_WAIT_S:g} s ({error}); "
            "start it with `ray start --head`, or leave --address out for a private Ray"
        ) from None
