"""The sockets between rank 0 and its followers: commands as length-prefixed JSON, and the barrier.

They outlive engines: a process opens them once and runs any number of engines over them.
"""

import json
import socket
import struct
from dataclasses import dataclass
from typing import Any

_LENGTH = struct.Struct("!I")

Message = dict[str, Any]


class ChannelClosed(ConnectionError):  # noqa: N818 - an event, not a mistake
    """The other rank has ended its side."""


@dataclass(frozen=True, slots=True)
class Channels:
    """One rank's sockets. Rank 0 holds one per follower, in rank order; a follower holds one."""

    rank: int
    size: int
    control: list[socket.socket]
    barrier: list[socket.socket]

    def broadcast(self, message: Message) -> None:
        """Send one message to every peer. Raises ChannelClosed where one has gone."""
        for peer in self.control:
            send(peer, message)


def send(peer: socket.socket, message: Message) -> None:
    """Send one message. Raises ChannelClosed where the peer has gone."""
    payload = json.dumps(message, separators=(",", ":")).encode()
    try:
        peer.sendall(_LENGTH.pack(len(payload)) + payload)
    except OSError as error:
        raise ChannelClosed(f"a rank of the group has ended ({error.strerror})") from None


def receive(peer: socket.socket) -> Message:
    """Wait for one message. Raises ChannelClosed at end of file."""
    (length,) = _LENGTH.unpack(_read(peer, _LENGTH.size))
    message: Message = json.loads(_read(peer, length))
    return message


def _read(peer: socket.socket, count: int) -> bytes:
    try:
        data = peer.recv(count, socket.MSG_WAITALL)
    except OSError as error:
        raise ChannelClosed(f"a rank of the group has ended ({error.strerror})") from None
    if len(data) < count:
        raise ChannelClosed("a rank of the group has ended")
    return data
