"""The sockets between rank 0 and its followers: commands as length-prefixed JSON, and the barrier.

They outlive engines: a process opens them once and runs any number of engines over them.
"""

import json
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LENGTH = struct.Struct("!I")

Command = dict[str, Any]


class ChannelClosed(ConnectionError):  # noqa: N818 - an event, not a mistake
    """The other rank has ended its side."""


@dataclass(frozen=True, slots=True)
class Channels:
    """One rank's sockets. Rank 0 holds one per follower, in rank order; a follower holds one."""

    rank: int
    size: int
    control: list[socket.socket]
    barrier: list[socket.socket]

    def broadcast(self, command: Command) -> None:
        """Send one command to every peer. Raises ChannelClosed where one has gone."""
        for peer in self.control:
            send(peer, command)


def send(peer: socket.socket, command: Command) -> None:
    """Send one command. Raises ChannelClosed where the peer has gone."""
    payload = json.dumps(command, separators=(",", ":")).encode()
    try:
        peer.sendall(_LENGTH.pack(len(payload)) + payload)
    except OSError as error:
        raise ChannelClosed(f"a rank of the group has ended ({error.strerror})") from None


def receive(peer: socket.socket) -> Command:
    """Wait for one command. Raises ChannelClosed at end of file."""
    (length,) = _LENGTH.unpack(_read(peer, _LENGTH.size))
    command: Command = json.loads(_read(peer, length))
    return command


def _read(peer: socket.socket, count: int) -> bytes:
    try:
        data = peer.recv(count, socket.MSG_WAITALL)
    except OSError as error:
        raise ChannelClosed(f"a rank of the group has ended ({error.strerror})") from None
    if len(data) < count:
        raise ChannelClosed("a rank of the group has ended")
    return data


_channels: Channels | None = None


def open_channels(environ: Mapping[str, str]) -> Channels:
    """This process's channels, opened at the first call: inherited ones, or torchrun's."""
    global _channels
    if _channels is None:
        _channels = _open(environ)
    return _channels


def _open(environ: Mapping[str, str]) -> Channels:
    rank, size = int(environ.get("RANK", "0")), int(environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Channels(rank, size, [], [])
    if "HARNESS_CONTROL_FDS" not in environ:
        from harness.engine import torchrun

        return torchrun.connect(rank, size)
    return Channels(
        rank,
        size,
        _inherited(environ, "HARNESS_CONTROL_FDS"),
        _inherited(environ, "HARNESS_BARRIER_FDS"),
    )


def _inherited(environ: Mapping[str, str], name: str) -> list[socket.socket]:
    """Sockets on duplicates, so that whoever owns the descriptors may close its own."""
    numbers = [int(text) for text in environ[name].split(",") if text]
    return [socket.socket(fileno=os.dup(number)) for number in numbers]
