"""Opens this process's channels: those that the supervisor let it inherit, or torchrun's."""

import os
import socket
from collections.abc import Mapping

from harness.engine.distributed import torchrun
from harness.engine.distributed.channels import Channels

_channels: Channels | None = None


def open_channels(environ: Mapping[str, str]) -> Channels:
    """Return this process's channels, opened at the first call."""
    global _channels
    if _channels is None:
        _channels = _open(environ)
    return _channels


def _open(environ: Mapping[str, str]) -> Channels:
    rank, size = int(environ.get("RANK", "0")), int(environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Channels(rank, size, [], [])
    if "HARNESS_CONTROL_FDS" not in environ:
        return torchrun.connect(rank, size)
    return Channels(
        rank,
        size,
        _inherit(environ, "HARNESS_CONTROL_FDS"),
        _inherit(environ, "HARNESS_BARRIER_FDS"),
    )


def _inherit(environ: Mapping[str, str], name: str) -> list[socket.socket]:
    """Return sockets on duplicates, so that whoever owns the descriptors may close its own."""
    numbers = [int(text) for text in environ[name].split(",") if text]
    return [socket.socket(fileno=os.dup(number)) for number in numbers]
