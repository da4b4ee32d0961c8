"""What an attempt is given: its folder, each rank's environment, arguments and descriptors."""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.attempt import observing
from harness.attempt.captures import Captures
from harness.attempt.control_group import open_group
from harness.attempt.coredump import make_coredump_environment
from harness.attempt.flight import make_flight_environment
from harness.attempt.memcheck import make_memcheck_command
from harness.attempt.scratch import Scratch
from harness.attempt.spec import AttemptSpec, SuiteCommands

SINGLE_THREAD = {"OMP_NUM_THREADS": "1"}

#: In an attempt's folder: the ids of its devices, for who looks at it while it runs.
DEVICES_FILE = "devices.json"


class Launch:
    """The files and descriptors of one attempt. `release` once the ranks have theirs; `close` ends.

    Temporary folders lie in the system's, not in the attempt's: sockets in them have short paths
    only.
    """

    def __init__(
        self, spec: AttemptSpec, more: Mapping[str, str], inherited: Mapping[str, str]
    ) -> None:
        """`more`: variables beside the spec's; `inherited`: what a rank has from its keeper."""
        self._spec = spec
        self._more = more
        self.inherited = inherited
        self._scratch = Scratch()
        self.temporary = self._scratch.path
        self.observed = self.temporary / observing.FOLDER
        """The folder that processes write to what the start-up hook observes."""
        self.observed.mkdir()
        self.captures = Captures(self.temporary / "words")
        """What pytest holds of the tests' output, and what failed tests had printed."""
        self.cores = self.temporary / "cores"
        self.cores.mkdir()
        self.fds: list[int] = []
        """The ranks' ends, as they are sent."""
        self.event_fds: list[int] = []
        """Our ends of the event pipes, by rank."""
        self.log_fds: list[int] = []
        """Our ends of the pipes that ranks write stdout and stderr to."""
        self._logs: list[int] = []
        self.group = open_group(spec.attempt_id, spec.limits.memory_bytes)
        """The control group of its processes, if there can be one."""
        spec.folder.mkdir(parents=True, exist_ok=True)
        (spec.folder / DEVICES_FILE).write_text(json.dumps(spec.devices), encoding="utf-8")
        given = [self._open_pipes() for _ in range(spec.tp)]
        for name in ("HARNESS_CONTROL_FDS", "HARNESS_BARRIER_FDS"):
            self._connect(name, given)
        self.ranks = [self._rank(rank, given[rank]) for rank in range(spec.tp)]

    def find_temporary(self, rank: int) -> Path:
        """Return a rank's TMPDIR."""
        return self.temporary / f"r{rank}"

    def make_tmp(self) -> Path:
        """Return an empty folder that may be a /tmp."""
        folder = self.temporary / "tmp"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o1777)
        return folder

    def release(self) -> None:
        """Close the ranks' ends: a copy held here would hide a death from its peers."""
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def close(self) -> None:
        """Close what is open and remove the temporary folders."""
        self.release()
        for fd in (*self.event_fds, *self.log_fds):
            os.close(fd)
        self.event_fds, self.log_fds = [], []
        self.captures.close()
        if self.group is not None:
            self.group.close()
        self._scratch.close()

    def _open_pipes(self) -> dict[str, list[int]]:
        self._logs.append(self._open_pipe(self.log_fds))
        return {"HARNESS_EVENTS_FD": [self._open_pipe(self.event_fds)]}

    def _open_pipe(self, ours: list[int]) -> int:
        """Add our end to a list. Return the index of the rank's."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        ours.append(reader)
        return self._hand_over(writer)

    def _connect(self, name: str, given: list[dict[str, list[int]]]) -> None:
        """A stream socket from rank 0 to every other rank."""
        for rank in range(1, self._spec.tp):
            zero, other = socket.socketpair()
            given[0].setdefault(name, []).append(self._hand_over(zero.detach()))
            given[rank][name] = [self._hand_over(other.detach())]

    def _hand_over(self, fd: int) -> int:
        self.fds.append(fd)
        return len(self.fds) - 1

    def _rank(self, rank: int, fds: dict[str, list[int]]) -> dict[str, Any]:
        folder = self.find_temporary(rank)
        folder.mkdir()
        own = {**make_environment(self._spec, rank), **self._more}
        whole = {**self.inherited, **own}
        return {
            "rank": rank,
            "env": {
                **own,
                **observing.make_hook_environment(self._spec, self.observed, whole),
                "HARNESS_RENDEZVOUS": str(self.temporary / "rendezvous"),
                "TMPDIR": str(folder),
                **(make_coredump_environment(self.cores) if self._spec.coredump else {}),
                **self._record_flight(whole),
                **({"HARNESS_WORDS": str(self.captures.folder)} if rank == 0 else {}),
            },
            "cwd": str(self._spec.cwd),
            "python": self._spec.python,
            "under": make_memcheck_command(self.cores) if self._spec.memcheck else [],
            "log": self._logs[rank],
            "confined": False,
            "group": str(self.group.path) if self.group else None,
            "args": make_suite_arguments(self._spec) if rank == 0 else [],
            "fds": fds,
        }

    def _record_flight(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return what makes NCCL's process groups record, if there may be some."""
        if not records_flight(self._spec):
            return {}
        return make_flight_environment(self.captures, environ)


def records_flight(spec: AttemptSpec) -> bool:
    """Return whether the attempt may have process groups of NCCL."""
    return spec.device == "cuda" and max(spec.tp, len(spec.devices)) > 1


def make_log_path(folder: Path, rank: int) -> Path:
    """Return the file that a rank writes its stdout and stderr to."""
    return folder / f"rank{rank}.log"


def restore_folder(folder: Path) -> bool:
    """Make the attempt's folder again if its test has removed or replaced it. Return whether."""
    if folder.is_dir() and not folder.is_symlink():
        return False
    folder.unlink(missing_ok=True)  # a link in its place would lead what we write elsewhere
    folder.mkdir(parents=True)
    return True


def make_environment(spec: AttemptSpec, rank: int) -> dict[str, str]:
    """Return what the rank's environment has beyond its keeper's. The spec's own extras lose."""
    given = {
        "HARNESS_RUN_ID": spec.run_id,
        "HARNESS_ATTEMPT_ID": spec.attempt_id,
        "HARNESS_REPEAT": str(spec.repeat),
        "HARNESS_CELL": json.dumps(dict(spec.axes)),
        "HARNESS_SEED": str(spec.seed),
        "HARNESS_DESELECT": json.dumps(spec.deselect),
        "HARNESS_DEVICE": spec.device,
        "HARNESS_DEVICES": ",".join(spec.devices),
        "HARNESS_IN_CI": str(int(spec.in_ci)),
        "HARNESS_RANK": str(rank),
        # Programs that trust it over getcwd(), as shells do, would see the driver's folder.
        "PWD": str(spec.cwd),
    }
    if spec.uses_engine or spec.tp > 1:
        given |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(spec.tp),
            "GLOO_SOCKET_IFNAME": "lo",
            "NCCL_NVLS_ENABLE": "0",
            **limit_threads(spec),
        }
    if spec.kind != "pytest" or spec.commands != SuiteCommands():
        given["HARNESS_SUITE"] = _describe_suite(spec)
    if spec.overlaid:
        given["HARNESS_OVERLAID"] = ",".join(spec.overlaid)
    if spec.uses_engine and spec.device == "cuda":
        given["HARNESS_OPEN_CONTEXT"] = "1"
    if spec.follower is not None:
        given["HARNESS_FOLLOWER"] = spec.follower
    if spec.visible_devices:
        given["CUDA_VISIBLE_DEVICES"] = spec.visible_devices[rank]
    return {**spec.env, **given}


def _describe_suite(spec: AttemptSpec) -> str:
    """Return what `harness/rank/suite_run.py` reads."""
    commands = {"set_up": spec.commands.set_up, "tear_down": spec.commands.tear_down}
    return json.dumps(
        {"kind": spec.kind, "name": spec.name, "result": spec.commands.result, **commands}
    )


def limit_threads(spec: AttemptSpec) -> dict[str, str]:
    """Return the variables that give each rank of the engine, or of a gang, one thread.

    Ranks share the cores of one host. The thread count of any other suite is its own affair.
    """
    return SINGLE_THREAD if spec.uses_engine or spec.tp > 1 else {}


def make_suite_arguments(spec: AttemptSpec) -> list[str]:
    """Return the arguments of rank 0's pytest, or the words of its program."""
    arguments = [*spec.nodeids, *spec.arguments]
    if spec.kind != "pytest":
        return arguments
    if spec.keyword is not None:
        arguments += ["-k", spec.keyword]
    if spec.in_process_reruns:
        arguments += ["--reruns", str(spec.in_process_reruns)]
    return arguments


def read_tail(path: Path, limit: int = 32 << 10) -> str:
    """The last bytes of a log, as text."""
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(log.tell() - limit, 0))
            return log.read(limit).decode(errors="replace")
    except OSError:
        return ""
