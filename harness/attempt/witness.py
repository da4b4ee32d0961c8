"""Looks at an attempt from outside at the moment when something is wrong, before it is killed.

The processes, what each of them does (py-spy, if it is installed), and the devices' own state. No
process of the attempt takes part in it: one that hangs or has died could not.
"""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

#: Returns the state of devices as JSON values; None if there is none to read.
ReadDevices = Callable[[], Mapping[str, Any] | None]

_MOST_PROCESSES = 200
_MOST_DUMPED = 16
#: How long all stacks together may take: the attempt's time is up already.
_STACKS_SECONDS = 8.0
_MOST_STACK_BYTES = 1 << 20


@dataclass(slots=True)
class Sighting:
    """What was seen."""

    hang: bool
    processes: str = ""
    stacks: str = ""
    by_rank: dict[int, str] = field(default_factory=dict)
    """Each rank's stacks, as py-spy writes them."""
    device: Mapping[str, Any] | None = None
    not_done: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    """As this process sees it."""
    inner: int
    """As the process itself does, behind a boundary."""
    parent: int
    state: str
    command: str


class Witness:
    """Looks once per attempt. `keeper`: the process that everything of the attempt is below."""

    def __init__(self, keeper: int) -> None:
        self.sighting: Sighting | None = None
        self.rank_pids: tuple[int, ...] = ()
        """The ranks' processes as their keeper counts them."""
        self.read_devices: ReadDevices | None = None
        self.ask_ranks: Callable[[], Sequence[str]] | None = None
        """Called of a hang: has the ranks write what they record of their collectives, and tells
        what was in the way."""
        self._keeper = keeper

    def look(self, *, hang: bool) -> None:
        """See what there is to be seen, the first time that something is wrong."""
        if self.sighting is not None:
            return
        self.sighting = seen = Sighting(hang)
        found = _find_below(self._keeper)
        seen.processes = _format_processes(found, self._name_ranks(found))
        if hang:
            self._dump_stacks(found, seen)
            for why in self.ask_ranks() if self.ask_ranks is not None else ():
                seen.not_done.append(("the ranks' last collectives", why))
        if self.read_devices is not None:
            seen.device = self.read_devices()

    def look_afterwards(self) -> None:
        """See the devices once all has ended, if nothing had been wrong before."""
        if self.sighting is None:
            device = self.read_devices() if self.read_devices is not None else None
            self.sighting = Sighting(hang=False, device=device)

    def _name_ranks(self, found: Sequence[_Process]) -> dict[int, int]:
        """Return the rank of each process that is one."""
        ranks = {pid: rank for rank, pid in enumerate(self.rank_pids)}
        return {one.pid: ranks[one.inner] for one in found if one.inner in ranks}

    def _dump_stacks(self, found: Sequence[_Process], seen: Sighting) -> None:
        tool = find_py_spy()
        if tool is None:
            why = "py-spy is not installed (pip install 'capture-harness[evidence]'); "
            why += "the logs have the stacks of the ranks that answered SIGTERM"
            seen.not_done.append(("stacks from outside", why))
            return
        ranks = self._name_ranks(found)
        below = _select_measured(found, set(ranks))[:_MOST_DUMPED]
        dumps = {
            one: subprocess.Popen(
                [tool, "dump", "--full-filenames", "--pid", str(one.pid)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for one in below
        }
        deadline = time.monotonic() + _STACKS_SECONDS
        for one, process in dumps.items():
            text = _collect(process, deadline)
            rank = ranks.get(one.pid)
            name = f"process {one.pid}" if rank is None else f"rank {rank}"
            seen.stacks += f"== {name}: {one.command}\n{text}\n"
            if "Thread" not in text:
                seen.not_done.append((f"stacks of {name}", text.strip()[:300] or "no answer"))
            elif rank is not None:
                seen.by_rank[rank] = text


def _collect(process: "subprocess.Popen[bytes]", deadline: float) -> str:
    try:
        output, _ = process.communicate(timeout=max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        output += b"\npy-spy did not answer in time\n"
    return output[:_MOST_STACK_BYTES].decode("utf-8", "replace")


def find_py_spy() -> str | None:
    """Return the path of the py-spy that this interpreter's environment has; None without one."""
    try:
        files = metadata.files("py-spy") or []
    except metadata.PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in files if file.name == "py-spy")
    return next((str(path.resolve()) for path in paths if path.is_file()), None)


def _find_below(root: int) -> list[_Process]:
    every = [one for entry in Path("/proc").glob("[0-9]*") if (one := _read_process(entry))]
    children: dict[int, list[_Process]] = {}
    for one in every:
        children.setdefault(one.parent, []).append(one)
    found = list(children.get(root, ()))
    for one in found:
        found += children.get(one.pid, ())
    return found[:_MOST_PROCESSES]


def _read_process(entry: Path) -> _Process | None:
    try:
        status = (entry / "status").read_text(errors="replace")
        raw = (entry / "cmdline").read_bytes()[:400]
    except OSError:
        return None
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    pids = fields.get("NSpid", entry.name).split()
    command = raw.replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return _Process(
        int(entry.name),
        int(pids[-1]),
        int(fields.get("PPid", "0")),
        fields.get("State", "?"),
        "".join(c for c in command or fields.get("Name", "?") if c.isprintable()),
    )


def _select_measured(found: Sequence[_Process], ranks: set[int]) -> list[_Process]:
    """Return the ranks and what is below them, without the processes that guard them."""
    wanted = set(ranks)
    for one in found:  # parents come before their children
        if one.parent in wanted:
            wanted.add(one.pid)
    return [one for one in found if one.pid in wanted and not one.state.startswith("Z")]


def _format_processes(found: Sequence[_Process], ranks: Mapping[int, int]) -> str:
    lines = [
        f"{one.pid:>8} {one.parent:>8} {one.state:<14}"
        f" {f'rank {ranks[one.pid]}' if one.pid in ranks else '':<8} {one.command}"
        for one in found
    ]
    return "\n".join([f"{'process':>8} {'parent':>8} state", *lines]) + "\n"
