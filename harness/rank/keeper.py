"""The keeper: parent and subreaper of every rank of an attempt. Trusted, and single-threaded.

It starts ranks in one of two ways. *spawn*: a rank is a new interpreter. *fork*: the keeper has
imported what the ranks will need, and a rank is a copy of it; such a keeper is called a *zygote*.
A keeper that must not be forked (`forking.py`) refuses, and the supervisor spawns instead.

The supervisor speaks JSON lines over one stream socket:

    -> start {mode: fork|spawn,
              ranks: [{rank, env, cwd, python, under: [word], log: index, args, confined,
                       fds: {VARIABLE: [index]}, group: null | path}],
              sandbox: null | {required, parts, protected: [path], group, tmp, kept}}
       with the descriptors that `log` and `fds` count into, in the order of their indices
    <- started {pids} | refused {why}
    <- unconfined {why, started}   no boundary could be put up; were the ranks started without?
    <- exited {rank, pid, code, signal, maxrss}
    -> term                  SIGTERM to the group of each rank that is left
    -> sweep {after: s}      SIGKILL, after s seconds, to whatever is left below
    <- orphan {pid, comm}    one that was no rank; pid as it is outside of a boundary, 0 if unknown
    <- unobserved {pid, why} a Python process in which the start-up hook cannot have begun
    <- clean                 nothing is left below

and `ready {threads, preload_seconds}` once at the start. At end of file it kills all and leaves.
"""

import argparse
import errno
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from . import forking, imports, launch, processes, sandbox, unobserved

_MAX_MESSAGE = 8 << 20
_MAX_FDS = 253  # the kernel's limit for one message
_SWEEP_PAUSE = 0.01
#: How long one that is left behind a boundary still lives, so that its number outside can be found.
_SHOWN_SECONDS = 0.05
_END_LIMIT = 30.0


class Keeper:
    """Serves one supervisor, one attempt at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self._fds: list[int] = []
        self._ranks: dict[int, int] = {}
        self._sweep_at: float | None = None
        self._orphans: dict[int, float] = {}
        """What is left below and has been told of: when it may be killed."""
        self._boundary: sandbox.Boundary | None = None
        self._confined: set[int] = set()
        self._lookout = unobserved.Lookout()
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ, self._read_requests)
        self._wake_on_child_death()

    def serve(self) -> NoReturn:
        """Loop until the supervisor is gone."""
        while True:
            pause = self._lookout.get_pause() if self._sweep_at is None else _SWEEP_PAUSE
            for key, _ in self._selector.select(pause):
                key.data()
            for pid, why in self._lookout.look():
                self.send("unobserved", pid=pid, why=why)
            any_left = self._reap()
            if self._sweep_at is not None:
                self._sweep(any_left)

    def send(self, event: str, **keys: object) -> None:
        """Tell the supervisor; one that is gone shows as end of file in the loop."""
        with suppress(OSError):
            self._socket.sendall(json.dumps({"event": event, **keys}).encode() + b"\n")

    def _wake_on_child_death(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the wake-up needs some handler
        signal.set_wakeup_fd(writer)
        self._selector.register(reader, selectors.EVENT_READ, lambda: os.read(reader, 4096))

    # --- requests ---

    def _read_requests(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, 1 << 16, _MAX_FDS)
        except ConnectionResetError:
            data, fds = b"", []
        self._fds += fds
        self._buffer += data
        if not data or len(self._buffer) > _MAX_MESSAGE:
            self._end()
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            request = json.loads(line)
            getattr(self, f"_do_{request['do']}")(request)

    def _do_start(self, request: dict[str, Any]) -> None:
        fds, self._fds = self._fds, []
        self._orphans = {}
        obstacle = forking.find_fork_obstacle() if request["mode"] == "fork" else None
        if obstacle:
            self.send("refused", why=obstacle)
        elif not self._confine(request, fds):
            self._ranks = {
                launch.start_rank(rank, fds, request["mode"]): rank["rank"]
                for rank in request["ranks"]
            }
            self._lookout.begin(request["ranks"])
            self.send("started", pids=list(self._ranks))
        # A copy kept here would hide a rank's death from the peers that wait for end of file.
        for fd in fds:
            os.close(fd)

    def _do_term(self, request: dict[str, Any]) -> None:
        self._pass_on(request)
        for pid in self._ranks:  # not yet reaped, so the group is still theirs
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)

    def _do_sweep(self, request: dict[str, Any]) -> None:
        if self._pass_on(request):
            return
        self._lookout.end()
        self._sweep_at = time.monotonic() + request["after"]

    # --- the boundary: an init that is a keeper of the same protocol ---

    def _confine(self, request: dict[str, Any], fds: list[int]) -> bool:
        """Start the ranks behind a boundary. Return False if they are to be started without."""
        wanted = request["sandbox"]
        if wanted is None:
            return False
        try:
            self._boundary = sandbox.open_boundary(wanted, lambda sock: Keeper(sock).serve())
        except sandbox.SandboxError as error:
            self.send("unconfined", why=str(error), started=not wanted["required"])
            return bool(wanted["required"])
        self._confined = {rank["rank"] for rank in request["ranks"]}
        ranks = [{**rank, "confined": True} for rank in request["ranks"]]
        inside = json.dumps({**request, "ranks": ranks, "sandbox": None}).encode() + b"\n"
        sent = socket.send_fds(self._boundary.socket, [inside], fds)
        self._boundary.socket.sendall(inside[sent:])
        self._selector.register(self._boundary.socket, selectors.EVENT_READ, self._relay)
        return True

    def _pass_on(self, request: dict[str, Any]) -> bool:
        if self._boundary is None:
            return False
        with suppress(OSError):  # init is gone, which the relay sees
            self._boundary.socket.sendall(json.dumps(request).encode() + b"\n")
        return True

    def _relay(self) -> None:
        assert self._boundary is not None, "its socket is registered while it is up"
        lines = self._boundary.receive()
        for line in lines or ():
            message = json.loads(line)
            if message["event"] == "clean":
                self._end_boundary()
                self._do_sweep({"after": 0.0})
                return
            if message["event"] == "exited":
                self._confined.discard(message["rank"])
            if message["event"] == "orphan":
                message["pid"] = processes.find_outside(self._boundary.init, message["pid"])
            self.send(**message)
        if lines is None:
            self._end_boundary()
            for rank in self._confined:
                end = {"code": None, "signal": "SIGKILL", "maxrss": 0}
                self.send("exited", rank=rank, pid=0, **end)
            self._confined = set()

    def _end_boundary(self) -> None:
        if self._boundary is not None:
            self._selector.unregister(self._boundary.socket)
            self._boundary.destroy()
            # Ours, and no orphans of the attempt.
            self._orphans |= {self._boundary.helper: 0.0, self._boundary.init: 0.0}
            self._boundary = None

    # --- the processes below ---

    def _reap(self) -> bool:
        """Collect the dead; False where there is no child at all, so nothing below either."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid in self._ranks:
                self._report_exit(pid, os.waitstatus_to_exitcode(status), usage.ru_maxrss)

    def _report_exit(self, pid: int, code: int, maxrss_kib: int) -> None:
        self.send(
            "exited",
            rank=self._ranks.pop(pid),
            pid=pid,
            code=code if code >= 0 else None,
            signal=processes.name_signal(-code) if code < 0 else None,
            maxrss=maxrss_kib * 1024,
        )

    def _sweep(self, any_left: bool) -> None:
        if not any_left:
            self._sweep_at = None
            self.send("clean")
        elif self._sweep_at is not None and time.monotonic() >= self._sweep_at:
            self._kill_below()

    def _kill_below(self) -> None:
        now = time.monotonic()
        shown = _SHOWN_SECONDS if os.getpid() == 1 else 0.0
        for pid in processes.find_descendants(os.getpid()):
            if pid not in self._ranks and pid not in self._orphans:
                self._orphans[pid] = now + shown
                self.send("orphan", pid=pid, comm=processes.read_command_name(pid))
            if now >= self._orphans.get(pid, 0.0):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _end(self) -> NoReturn:
        """Kill all below and leave; a process stuck in the kernel may outlast our patience."""
        limit = time.monotonic() + _END_LIMIT
        while self._reap() and time.monotonic() < limit:
            self._kill_below()
            time.sleep(_SWEEP_PAUSE)
        os._exit(0)


def preload(names: Sequence[str]) -> None:
    """Import what the ranks will need. One that fails here fails in the rank, where it counts."""
    mark = imports.REWRITTEN_MARK
    packages = [name.removeprefix(mark) for name in names if name.startswith(mark)]
    with imports.rewrite_assertions(packages):
        for name in names:
            try:
                if not name.startswith(mark):
                    importlib.import_module(name)
            except Exception:
                traceback.print_exc()
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, the shared pages


def _be_nice() -> int | None:
    """Step back while others measure; None where the way up again would be barred."""
    try:
        before = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, before - 1)
        os.setpriority(os.PRIO_PROCESS, 0, 19)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM):
            raise
        return None
    return before


def main(arguments: Sequence[str]) -> NoReturn:
    """`keeper --fd N [--preload A,B] [--path DIR] [--nice]`: serve the supervisor at N's other end.

    Modules are preloaded from DIR first, if it is given, and else from the interpreter's own alone.
    """
    parser = argparse.ArgumentParser(prog="keeper")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--preload", default="")
    parser.add_argument("--path", default="")
    parser.add_argument("--nice", action="store_true")
    options = parser.parse_args(arguments)
    sock = socket.socket(fileno=options.fd)
    sock.set_inheritable(False)
    processes.become_subreaper()
    priority = _be_nice() if options.nice else None
    start = time.monotonic()
    sys.path[:0] = filter(None, [options.path])
    with imports.ask_for_gpus_through_nvml():
        preload([name for name in options.preload.split(",") if name])
    if priority is not None:
        os.setpriority(os.PRIO_PROCESS, 0, priority)
    keeper = Keeper(sock)
    seconds = time.monotonic() - start
    keeper.send("ready", threads=processes.count_threads(), preload_seconds=seconds)
    keeper.serve()
