"""A `harness run` in the background, and its processes by the part that they play."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.cli.conftest import COMMAND, clean_environ


class RunningHarness:
    """One run. Everything below it is ended when the context ends, whatever happened."""

    def __init__(
        self,
        folder: Path,
        arguments: Sequence[object],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.out, self.err = folder / "out.txt", folder / "err.txt"
        given = (environment or {}).get("TMPDIR")
        self._own_temporary = given is None
        # Short: Ray's sockets lie below it.
        self.temporary = Path(given or tempfile.mkdtemp(prefix="hr-", dir="/tmp"))
        self._known: set[psutil.Process] = set()
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*COMMAND, "run", *map(str, arguments), "--json", "run.json"],
                cwd=folder,
                env={
                    **clean_environ(),
                    "PYTHONUNBUFFERED": "1",
                    "TMPDIR": str(self.temporary),
                    **(environment or {}),
                },
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def __enter__(self) -> "RunningHarness":
        return self

    def __exit__(self, *_: object) -> None:
        self.find_all()
        for process in (
            {psutil.Process(self.process.pid), *self._known} if self.lives else self._known
        ):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        if self._own_temporary:
            shutil.rmtree(self.temporary, ignore_errors=True)

    @property
    def lives(self) -> bool:
        """Whether the driver has not ended."""
        return self.process.poll() is None

    def find_all(self) -> list[psutil.Process]:
        """Return every process below the driver now."""
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            found = []
        self._known |= set(found)
        return found

    def find(self, part: str) -> list[psutil.Process]:
        """Return the processes that play this part."""
        return [process for process in self.find_all() if plays(process, part)]

    def await_part(self, part: str, timeout_s: float = 60.0) -> psutil.Process:
        """Wait until a process plays this part, and return it."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.lives:
            if found := self.find(part):
                return found[0]
            time.sleep(0.02)
        raise AssertionError(f"no {part}; {self.err.read_text()}")

    def await_attempts(self, count: int, timeout_s: float = 90.0) -> None:
        """Wait until so many attempts have a folder."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.lives:
            if self.count_attempts() >= count:
                return
            time.sleep(0.02)
        raise AssertionError(f"not {count} attempts; {self.err.read_text()}")

    def count_attempts(self) -> int:
        """Return how many attempts have a folder."""
        return len(list(self.folder.glob(".harness/runs/*/*/events.jsonl")))

    def await_words(self, words: str, timeout_s: float) -> None:
        """Wait until these words are on standard error."""
        deadline = time.monotonic() + timeout_s
        while words not in self.err.read_text():
            assert time.monotonic() < deadline, self.err.read_text()
            assert self.lives, self.err.read_text()
            time.sleep(0.05)

    def interrupt(self) -> float:
        """Send what Ctrl-C sends; return the seconds until the driver has ended."""
        started = time.monotonic()
        os.kill(self.process.pid, signal.SIGINT)
        self.process.wait(60)
        return time.monotonic() - started

    def finish(self, timeout_s: float = 100.0) -> dict[str, Any]:
        """Wait for the end and return run.json."""
        while True:
            self.find_all()
            try:
                self.process.wait(0.5)
            except subprocess.TimeoutExpired:
                timeout_s -= 0.5
                assert timeout_s > 0, self.err.read_text()
                continue
            return self.read_json()

    def read_json(self) -> dict[str, Any]:
        """Return run.json; the run's words if there is none."""
        path = self.folder / "run.json"
        assert path.exists(), self.err.read_text()
        read: dict[str, Any] = json.loads(path.read_text())
        return read

    def await_nothing_left(self, timeout_s: float = 5.0) -> None:
        """Fail if a process or a folder of the run remains after that time."""
        deadline = time.monotonic() + timeout_s
        while (left := self._find_left()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left == [], left

    def _find_left(self) -> list[str]:
        processes = [f"{p.pid} {_name(p)}" for p in self._known if _is_alive(p)]
        return processes + [str(path) for path in self.temporary.iterdir()]


def plays(process: psutil.Process, part: str) -> bool:
    """Return whether the process is this part of a run."""
    try:
        command = process.cmdline()
        return bool(command) and part == _name_part(process, command)
    except psutil.NoSuchProcess:
        return False


def _name_part(process: psutil.Process, command: list[str]) -> str:
    if process.name() in ("raylet", "gcs_server"):
        return process.name()
    if "harness.cluster.broker" in command:
        return "broker"
    if command[0].startswith("ray::DeviceActor"):
        return "actor"
    if "keeper" in command[1:4]:
        parent = process.parent()
        below_keeper = parent is not None and "keeper" in parent.cmdline()[1:4]
        return "rank" if below_keeper else "keeper"
    return "rank" if "entry" in command[1:4] else "other"


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:100]
    except psutil.NoSuchProcess:
        return "gone"
