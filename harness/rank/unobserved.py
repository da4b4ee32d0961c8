"""Python processes that the start-up hook cannot reach, found from outside.

An interpreter that was started with -I, -E or -S, or without the attempt's environment, runs no
`sitecustomize` of ours. The keeper looks at what runs below it from time to time; a process that
lives for a moment only can be missed.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import hooking, processes

#: Pauses grow with the attempt, to a tenth of its age: a look takes milliseconds.
_LEAST_PAUSE_S, _MOST_PAUSE_S = 0.25, 8.0
_SHARE_OF_AGE = 0.1
_MOST_TEXT = 200
#: Programs that compile for others, and never capture.
_COMPILERS = ("torch/_inductor/compile_worker/",)
#: Flags that take the environment or `site` away, and options that take a value.
_HIDING = "IES"
_WITH_VALUE = "cmWX"


class Lookout:
    """Looks at an attempt's processes from time to time."""

    def __init__(self) -> None:
        self._due: float | None = None
        self._began = 0.0
        self._seen: dict[int, bytes] = {}
        self._judged: set[bytes] = set()

    def begin(self, ranks: Sequence[dict[str, Any]]) -> None:
        """Begin an attempt. Without a hook there is nothing to look for."""
        hooked = any(rank["env"].get("HARNESS_HOOK") for rank in ranks)
        self._seen, self._judged, self._began = {}, set(), time.monotonic()
        self._due = self._began + _LEAST_PAUSE_S if hooked else None

    def end(self) -> None:
        """Stop looking."""
        self._due = None

    def get_pause(self) -> float | None:
        """Return the seconds until the next look; None if there is none."""
        return None if self._due is None else max(self._due - time.monotonic(), 0.0)

    def look(self) -> list[tuple[int, str]]:
        """Return (pid, why) of processes not seen before, if it is time to look."""
        if self._due is None or time.monotonic() < self._due:
            return []
        now = time.monotonic()
        pause = max(_SHARE_OF_AGE * (now - self._began), _LEAST_PAUSE_S)
        self._due = now + min(pause, _MOST_PAUSE_S)
        return [
            (pid, why)
            for pid in processes.find_descendants(os.getpid())
            if (why := self._judge(pid))
        ]

    def _judge(self, pid: int) -> str | None:
        command = _read(pid, "cmdline")
        if not command or self._seen.get(pid) == command:
            return None
        self._seen[pid] = command
        environment = _read(pid, "environ")
        # Forked: by the keeper, which begins the hook itself, or by a process that was judged.
        if command == _read(os.getpid(), "cmdline") or command + environment in self._judged:
            return None
        self._judged.add(command + environment)
        return judge_process(command.split(b"\0"), environment.split(b"\0"))


def judge_process(command: Sequence[bytes], environment: Sequence[bytes]) -> str | None:
    """Return why the hook cannot have begun in a process; None if it can, or if it is no Python."""
    arguments = [os.fsdecode(one) for one in command]
    if not Path(arguments[0]).name.startswith("python"):
        return None
    text = " ".join(arguments).strip()[:_MOST_TEXT]
    if any(part in text for part in _COMPILERS):
        return None
    flag = _find_hiding_flag(arguments[1:])
    if flag:
        return f"started with -{flag}: {text}"
    start = os.fsencode(hooking.LOADER.parent / "start")
    path = next((one for one in environment if one.startswith(b"PYTHONPATH=")), b"")
    if start not in path.removeprefix(b"PYTHONPATH=").split(b":"):
        return f"started without the attempt's PYTHONPATH: {text}"
    return None


def _find_hiding_flag(arguments: Sequence[str]) -> str:
    """Return the first of the interpreter's own flags that hides the hook, or ""."""
    skipped = False
    for argument in arguments:
        if skipped:
            skipped = False
            continue
        if not argument.startswith("-") or argument in ("-", "--"):
            return ""
        if argument.startswith("--"):
            skipped = argument == "--check-hash-based-pycs"
            continue
        for place, letter in enumerate(argument[1:], start=2):
            if letter in _HIDING:
                return letter
            if letter in "cm":
                return ""  # what follows is the program's
            if letter in _WITH_VALUE:
                skipped = place == len(argument)
                break
    return ""


def _read(pid: int, name: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""
