"""The driver's hold on its broker: started at once, heard within deadlines, ended for certain."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from socket import socketpair

from harness.attempt.scratch import remove_abandoned
from harness.cluster import leftovers
from harness.cluster.channel import Channel, ChannelClosedError
from harness.cluster.members import SEE_ALL_GPUS
from harness.cluster.messages import Close, PoolSettings, Report, Request

#: How long a running broker may be silent. It speaks every second.
SILENT_WAIT_S = 20.0
#: How long Ray may take to start, with an actor on every device.
START_WAIT_S = 150.0
_CLOSE_WAIT_S = 2.5
# The folder whose `harness` this is. Ray's workers must import it, not a checkout's under test.
_ROOT = Path(__file__).resolve().parents[2]


class BrokerLostError(Exception):
    """The broker is gone or silent; the text says which, and names what is stopped."""


class BrokerProcess:
    """A running broker."""

    def __init__(self, address: str | None) -> None:
        """Start it and return at once; it imports Ray, and waits for the pool's settings.

        Its first report after them says whether the pool is open. address: as in the settings.
        """
        self._is_private = address is None
        self._is_ended = False
        self._folder = leftovers.make_folder()
        ours, theirs = socketpair()
        self._channel = Channel(ours)
        with theirs, (self._folder / "broker.log").open("wb") as log:
            # In a session of its own, so that a terminal's Ctrl-C reaches the driver alone.
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "harness.cluster.broker",
                    str(theirs.fileno()),
                    self._folder,
                ],
                cwd=_ROOT,
                env={
                    **os.environ,
                    **_make_environment(self._is_private),
                    leftovers.POOL_VARIABLE: str(self._folder),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        leftovers.note_owners(self._folder, self._process.pid)
        self._patience_s = START_WAIT_S
        self._heard = time.monotonic()

    def send(self, request: Request | PoolSettings) -> None:
        """Send a request. Raise BrokerLostError if it is not taken."""
        try:
            self._channel.send(request)
        except ChannelClosedError as error:
            raise BrokerLostError(self._explain(f"it takes no request: {error}")) from None

    def receive(self, timeout_s: float) -> list[Report]:
        """Return what was reported; wait up to `timeout_s` for something.

        Raise BrokerLostError if the broker is gone, or has been silent for too long.
        """
        try:
            reports: list[Report] = self._channel.receive(timeout_s)  # type: ignore[assignment]
        except ChannelClosedError:
            raise BrokerLostError(self._explain("it ended")) from None
        if reports:
            self._heard = time.monotonic()
            self._patience_s = SILENT_WAIT_S
        elif time.monotonic() - self._heard > self._patience_s:
            raise BrokerLostError(self._explain(f"silent for {self._patience_s:g} s"))
        return reports

    def close(self) -> None:
        """End it and all it started.

        A private Ray is killed as a whole. A joined cluster is asked to take its devices back, and
        does so by itself once the broker is gone if it does not answer within seconds.
        """
        try:
            if not self._is_private:
                self._ask_to_close()
        finally:
            self.kill()

    def _ask_to_close(self) -> None:
        with contextlib.suppress(BrokerLostError, subprocess.TimeoutExpired):
            self.send(Close())
            self._process.wait(_CLOSE_WAIT_S)

    def kill(self) -> None:
        """End it and all it started by SIGKILL, which works on stopped processes too."""
        if self._is_ended:
            return
        self._is_ended = True
        leftovers.kill_below(self._process.pid)
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        leftovers.kill_pool(self._folder, self._process.pid)
        self._channel.close()
        leftovers.remove_folder(self._folder)
        remove_abandoned()

    def _explain(self, reason: str) -> str:
        stopped = leftovers.find_stopped_servers(self._process.pid)
        broker = leftovers.read_stat(self._process.pid)
        if broker is not None and broker.state in "Tt":
            stopped.add(f"broker ({broker.pid})")
        parts = [reason, *(f"{name} stopped" for name in sorted(stopped)), self._read_last_line()]
        return "; ".join(filter(None, parts))

    def _read_last_line(self) -> str:
        try:
            lines = (self._folder / "broker.log").read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:300] if lines else ""


def _make_environment(is_private: bool) -> dict[str, str]:
    """Return what Ray reads from its environment as it is imported."""
    if not is_private:
        return {"RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "token")}
    return {
        # A token of this run's own: nothing is written to the home folder, and nobody has it else.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        # Ray starts its workers at nice 15, and the ranks below them would inherit it.
        "RAY_worker_niceness": "0",
        **SEE_ALL_GPUS,
    }
