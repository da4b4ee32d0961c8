"""Start a Ray of this run's own, or join a cluster."""

import contextlib
import logging
import os
import secrets
import socket
from pathlib import Path

import ray
from ray.exceptions import RayError

from harness.cluster.calls import first_line
from harness.cluster.devices import DeviceKind, find_gpus
from harness.core.errors import UsageError

#: How long a Ray address may take to accept a connection.
ADDRESS_WAIT_S = 10.0

#: Only small messages travel: events and log tails. Containers give little shared memory.
_OBJECT_STORE_BYTES = 100 << 20


def connect(kind: DeviceKind, slots: int, address: str | None) -> None:
    """Join the Ray at `address`, or start a private one if it is None.

    Raise UsageError if the address is not one, does not answer, or refuses us.
    """
    # Ray puts the working directory first on its workers' import path. It may be a checkout under
    # test with a `harness` of its own, and the actors must run this one.
    with contextlib.chdir(Path(__file__).resolve().parents[2]):
        if address is None:
            _start_private(kind, slots)
        else:
            _join(address)


def disconnect() -> None:
    """Leave the cluster, and end it if it is private."""
    ray.shutdown()


def _start_private(kind: DeviceKind, slots: int) -> None:
    # Ray starts its workers at nice 15, and the ranks below them would inherit it.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # A token of this run's own: nothing is written to the home folder, and nobody else has it.
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    ray.init(
        address="local",  # a bare init would join whatever RAY_ADDRESS names
        num_cpus=max(slots, 1),
        num_gpus=len(find_gpus()[0]) if kind == "cuda" else 0,
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def _join(address: str) -> None:
    if address != "auto":
        _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RayError, RuntimeError, ValueError) as error:
        raise UsageError(f"--address {address}: {first_line(error)}") from None


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
