"""A Ray cluster of two raylets on this machine, with a token, as a second user would start it."""

import contextlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.cli.conftest import clean_environ
from tests.cluster.running import plays

START_WAIT_S = 90.0


class LocalCluster:
    """A head and, once added, a second node. Ends with its context."""

    def __init__(self, folder: Path, cpus: int = 2) -> None:
        self.folder = folder
        self._cpus = cpus
        self._rays = Path(tempfile.mkdtemp(prefix="hc-", dir="/tmp"))
        self.temporary = self._rays / "t"
        """The temporary folder of nodes and drivers: of a run, nothing may stay in it."""
        self.temporary.mkdir()
        self.token = secrets.token_hex(32)
        self.address = f"127.0.0.1:{_find_free_port()}"
        self._nodes: list[subprocess.Popen[bytes]] = []
        port = self.address.rpartition(":")[2]
        self._start("--head", f"--port={port}", "--include-dashboard=false")
        self._await_nodes(1)

    def __enter__(self) -> "LocalCluster":
        return self

    def __exit__(self, *_: object) -> None:
        for node in self._nodes:
            _kill_tree(node)
        shutil.rmtree(self._rays, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """Return what a client's environment needs."""
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        return {**token, "TMPDIR": str(self.temporary)}

    def add_node(self, absent: Path | None = None) -> None:
        """Start a second raylet and wait until the head knows it.

        absent: a folder that is empty for this node, as on a machine that lacks it.
        """
        hide = f'mount -t tmpfs none {absent} && exec "$@"'
        lacking = ["unshare", "--mount", "sh", "-c", hide, "node"] if absent else []
        self._start(f"--address={self.address}", before=lacking)
        self._await_nodes(2)

    def kill_second_node(self) -> None:
        """SIGKILL the second raylet and all below it, as a machine that loses power."""
        _kill_tree(self._nodes[1])

    def list_processes(self) -> list[psutil.Process]:
        """Return everything below the cluster's nodes."""
        found: list[psutil.Process] = []
        for node in self._nodes:
            with contextlib.suppress(psutil.NoSuchProcess):
                found += psutil.Process(node.pid).children(recursive=True)
        return found

    def find(self, part: str) -> list[psutil.Process]:
        """Return the processes below its nodes that are this part of a run."""
        return [process for process in self.list_processes() if plays(process, part)]

    def _start(self, *arguments: str, before: Sequence[str] = ()) -> None:
        log = self.folder / f"node{len(self._nodes)}.log"
        command = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start"]
        ports = ["--min-worker-port=0", "--max-worker-port=0"]
        head = [f"--temp-dir={self._rays}"] if "--head" in arguments else []
        with log.open("wb") as out:
            node = subprocess.Popen(
                [*before, *command, "--block", "--disable-usage-stats", f"--num-cpus={self._cpus}",
                 "--object-store-memory=100000000", *ports, *head, *arguments],
                cwd=self.folder,
                env=clean_environ() | self.environment() | {"RAY_worker_niceness": "0"},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )  # fmt: skip
        self._nodes.append(node)

    def _await_nodes(self, count: int) -> None:
        """Wait until as many raylets run below, and each has said that its node is up."""
        deadline = time.monotonic() + START_WAIT_S
        logs = [self.folder / f"node{index}.log" for index in range(count)]
        while time.monotonic() < deadline:
            if all("Ray runtime started" in log.read_text(errors="replace") for log in logs):
                return
            time.sleep(0.1)
        raise AssertionError("\n".join(log.read_text(errors="replace") for log in logs))


def _find_free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _kill_tree(root: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(root.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    root.kill()
    root.wait()
