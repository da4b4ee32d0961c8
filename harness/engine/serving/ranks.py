"""Rank 0's way to all ranks: load everywhere, run a command everywhere, close everywhere."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TypeVar

from harness.core.errors import HarnessError, UsageError
from harness.engine.config import EngineConfig
from harness.engine.distributed import process_group
from harness.engine.distributed.channels import ChannelClosed, Channels, receive
from harness.engine.distributed.shared_memory import SharedFile
from harness.engine.serving.commands import (
    Abandon,
    Build,
    Close,
    Command,
    LoadReply,
    Message,
    Start,
    decode,
    encode,
)
from harness.engine.serving.running_worker import RunningWorker
from harness.engine.serving.worker import LoadedWorker, load

R = TypeVar("R")


class Ranks:
    """Every rank of one engine that runs, this one included."""

    def __init__(self, channels: Channels, worker: RunningWorker) -> None:
        self.worker = worker
        """Rank 0's share."""
        self._channels = channels

    def run(self, command: Command[R]) -> R:
        """Run one command on every rank. Return rank 0's result, valid until the next command."""
        _tell(self._channels, command)
        return self.worker.execute(command)

    def close(self) -> None:
        """Free the graphs, then the process group, on every rank."""
        _tell_close(self._channels)
        self.worker.close()


def start_everywhere(
    config: EngineConfig, channels: Channels, environ: Mapping[str, str], serial: int
) -> Ranks:
    """Load on all ranks before any of them waits for another, then start all.

    Raises the first UsageError of a load, and what `LoadedWorker.start` raises.
    """
    loaded = _load_everywhere(config, channels, environ, serial)
    with contextlib.ExitStack() as if_it_fails:
        if_it_fails.callback(_tell_close, channels)
        with _share_memory(config, channels.size) as path:
            start = Start(path, not path and process_group.is_kept(*_describe_group(config)))
            _tell(channels, start)
            ranks = Ranks(channels, loaded.start(serial, start))
        if_it_fails.pop_all()
    return ranks


def _describe_group(config: EngineConfig) -> tuple[str, float]:
    return config.device, config.collective_timeout_s


@contextlib.contextmanager
def _share_memory(config: EngineConfig, size: int) -> Iterator[str]:
    """Yield the path of memory for the ranks' collectives; empty if they use none."""
    if size == 1 or config.device != "cpu" or config.cpu_collectives != "shared-memory":
        yield ""
        return
    file = SharedFile(size)
    try:
        yield file.path
    finally:
        file.close()


def _load_everywhere(
    config: EngineConfig, channels: Channels, environ: Mapping[str, str], serial: int
) -> LoadedWorker:
    _tell(channels, Build(config.as_dict(), serial))
    loaded: LoadedWorker | HarnessError
    try:
        loaded = load(config, channels, environ)
    except HarnessError as error:
        loaded = error
    for rank, peer in enumerate(channels.control, start=1):
        reply = decode(receive(peer))
        if isinstance(reply, LoadReply) and reply.error and isinstance(loaded, LoadedWorker):
            loaded = UsageError(f"rank {rank}: {reply.error}")
    if isinstance(loaded, HarnessError):
        _tell(channels, Abandon())
        raise loaded
    return loaded


def _tell(channels: Channels, message: Message) -> None:
    channels.broadcast(encode(message))


def _tell_close(channels: Channels) -> None:
    # A follower that has died has nothing left to close.
    with contextlib.suppress(ChannelClosed):
        _tell(channels, Close())
