"""What ranks above 0 run: build, serve and tear down each engine that rank 0 starts."""

import os

from harness.core.errors import HarnessError
from harness.engine.config import config_from_dict
from harness.engine.distributed.channels import ChannelClosed, Channels, receive, send
from harness.engine.distributed.connect import open_channels
from harness.engine.serving.commands import (
    Build,
    Command,
    LoadReply,
    Message,
    Start,
    decode,
    encode,
)
from harness.engine.serving.running_worker import RunningWorker
from harness.engine.serving.worker import LoadedWorker, load


def main() -> None:
    """Follow rank 0 until it ends. An error after the build ends this rank, and so the attempt."""
    channels = open_channels(os.environ)
    while (message := _receive(channels)) is not None:
        if isinstance(message, Build):
            _follow_engine(channels, message)


def follow_if_follower() -> bool:
    """For a suite's conftest: under plain torchrun, a rank above 0 follows instead of collecting.

    Return True once rank 0 has ended; the caller then leaves. Elsewhere return False at once.
    """
    if int(os.environ.get("RANK", "0")) == 0 or "HARNESS_CONTROL_FDS" in os.environ:
        return False
    main()
    return True


def _follow_engine(channels: Channels, build: Build) -> None:
    """Run one engine's life: load, tell rank 0 how that went, and serve if all ranks start."""
    loaded = _load(channels, build)
    error = str(loaded) if isinstance(loaded, HarnessError) else None
    send(channels.control[0], encode(LoadReply(error, os.getpid())))
    start = _receive(channels)
    if not isinstance(start, Start) or isinstance(loaded, HarnessError):
        return
    worker = loaded.start(build.serial, start)
    try:
        _serve(worker, channels)
    finally:
        worker.close()


def _load(channels: Channels, build: Build) -> LoadedWorker | HarnessError:
    """Return an error of the user's instead of raising it: rank 0 raises it for all."""
    try:
        return load(config_from_dict(build.config), channels, os.environ)
    except HarnessError as error:
        return error


def _serve(worker: RunningWorker, channels: Channels) -> None:
    while isinstance(message := _receive(channels), Command):
        worker.execute(message)


def _receive(channels: Channels) -> Message | None:
    """Wait for rank 0's next message. None once it has ended."""
    try:
        return decode(receive(channels.control[0]))
    except ChannelClosed:
        return None
