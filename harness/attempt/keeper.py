"""The supervisor's end of a keeper: a process of the measured interpreter, and a socket to it."""

import json
import os
import select
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.attempt.messages import KeeperMessage, Ready, parse_message
from harness.attempt.start_up import StartUp

_RANK_FOLDER = Path(__file__).resolve().parents[1] / "rank"
_CLOSE_SECONDS = 5.0
_READ_BYTES = 1 << 16


class KeeperLost(Exception):  # noqa: N818 - a state of affairs, handled by its one caller
    """The keeper is gone, or never came up."""


class KeeperRefused(Exception):  # noqa: N818 - a state of affairs, handled by its one caller
    """The keeper will not fork, and says why."""


class KeeperHandle:
    """A running keeper. `id` names it in records: forks of one zygote are not independent."""

    def __init__(
        self, process: subprocess.Popen[bytes], sock: socket.socket, hash_seed: str
    ) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.pid = process.pid
        self.hash_seed = hash_seed
        self._process = process
        self._socket = sock
        self._buffer = b""
        self._ready = False

    @classmethod
    def start(
        cls,
        start_up: StartUp,
        cwd: Path | None,
        preload: Sequence[str] = (),
        *,
        hash_seed: str,
        nice: bool = False,
    ) -> "KeeperHandle":
        """Start one and return at once; it may still be preloading.

        cwd: the folder whose modules may be preloaded; None: the interpreter's own alone, so that
        no code under test runs in the keeper.
        """
        ours, theirs = socket.socketpair()
        python = start_up.python
        command = [python, str(_RANK_FOLDER), "keeper", "--fd", str(theirs.fileno())]
        command += ["--preload", ",".join(preload)] + ["--nice"] * nice
        command += ["--path", str(cwd)] if cwd else []
        try:
            # Executed, never forked from here: the supervisor may have threads. In a session of
            # its own, so that the terminal's interrupt reaches the driver alone.
            process = subprocess.Popen(
                command,
                cwd=cwd or "/",
                env={**dict(start_up.environment), "PYTHONHASHSEED": hash_seed},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise KeeperLost(f"{python} cannot be started: {error}") from error
        finally:
            theirs.close()
        return cls(process, ours, hash_seed)

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until it has preloaded. Raises KeeperLost."""
        deadline = time.monotonic() + timeout_s
        while not self._ready:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                messages = self._receive(0)
            except TimeoutError:
                raise KeeperLost(f"keeper was not ready after {timeout_s:g} s") from None
            self._ready = any(isinstance(message, Ready) for message in messages)
        self._socket.settimeout(None)

    @property
    def is_settled(self) -> bool:
        """Whether `wait_ready` would return, or raise, at once."""
        return self._ready or bool(select.select([self._socket], [], [], 0)[0])

    def fileno(self) -> int:
        """For selectors: readable when `receive` has something."""
        return self._socket.fileno()

    def start_attempt(
        self,
        mode: str,
        ranks: Sequence[dict[str, Any]],
        fds: Sequence[int],
        sandbox: dict[str, Any] | None = None,
    ) -> None:
        """Start the ranks; their descriptors are indices into `fds`."""
        request = {"do": "start", "mode": mode, "ranks": list(ranks), "sandbox": sandbox}
        self._send(request, fds)

    def terminate(self) -> None:
        """SIGTERM to the group of every rank."""
        self._send({"do": "term"})

    def sweep(self, after_s: float = 0.0) -> None:
        """SIGKILL to all below, ranks included, after that delay; then it reports `clean`."""
        self._send({"do": "sweep", "after": after_s})

    def receive(self) -> list[KeeperMessage]:
        """What has arrived. Raises KeeperLost at end of file."""
        return self._receive(socket.MSG_DONTWAIT)

    def close(self) -> None:
        """End it, and with it everything below."""
        self._socket.close()
        if not self._ready:
            self._process.kill()  # still preloading: nothing is below, and it would not notice
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, message: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        data = json.dumps(message).encode() + b"\n"
        try:
            sent = socket.send_fds(self._socket, [data], list(fds)) if fds else 0
            self._socket.sendall(data[sent:])
        except OSError as error:
            raise KeeperLost(f"keeper {self.pid} is gone: {error}") from error

    def _receive(self, flags: int) -> list[KeeperMessage]:
        try:
            data = self._socket.recv(_READ_BYTES, flags)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            data = b""
        if not data:
            raise KeeperLost(f"keeper {self.pid} died{self._status()}")
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [parse_message(line) for line in lines]

    def _status(self) -> str:
        try:
            return f" with status {self._process.wait(1.0)}"
        except subprocess.TimeoutExpired:
            return ""


def kill_marked(attempt_id: str) -> None:
    """SIGKILL whatever was executed with this attempt's id in its environment.

    Only for when the keeper is gone: the ranks died with it, programs in sessions of their own did
    not. A fork without an exec shows its parent's environment and stays unseen.
    """
    mark = f"HARNESS_ATTEMPT_ID={attempt_id}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue
