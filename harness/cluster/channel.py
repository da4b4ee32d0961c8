"""Pickled messages over a stream socket, between the driver and its broker."""

import pickle
import select
import socket
import struct

_LENGTH = struct.Struct("!Q")
_READ_BYTES = 1 << 18
_SEND_WAIT_S = 5.0


class ChannelClosedError(Exception):
    """The other end is gone, or takes nothing."""


class Channel:
    """One end. Use it in one thread per direction."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._buffer = bytearray()

    def send(self, message: object, timeout_s: float | None = _SEND_WAIT_S) -> None:
        """Send one message. Raise ChannelClosedError if the other end takes nothing for so long."""
        data = pickle.dumps(message)
        left = memoryview(_LENGTH.pack(len(data)) + data)
        while left:
            if not select.select([], [self._socket], [], timeout_s)[1]:
                raise ChannelClosedError(f"nothing was taken for {timeout_s:g} s")
            try:
                left = left[self._socket.send(left) :]
            except OSError as error:
                raise ChannelClosedError(str(error)) from None

    def receive(self, timeout_s: float | None) -> list[object]:
        """Return the messages that have arrived; wait up to `timeout_s` for the first bytes.

        Raise ChannelClosedError at the end of the stream.
        """
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return []
        try:
            data = self._socket.recv(_READ_BYTES)
        except OSError as error:
            raise ChannelClosedError(str(error)) from None
        if not data:
            raise ChannelClosedError("end of file")
        self._buffer += data
        return self._take_messages()

    def close(self) -> None:
        """Close this end; the other one reads end of file."""
        self._socket.close()

    def _take_messages(self) -> list[object]:
        messages = []
        while len(self._buffer) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                break
            messages.append(pickle.loads(bytes(self._buffer[_LENGTH.size : end])))
            del self._buffer[:end]
        return messages
