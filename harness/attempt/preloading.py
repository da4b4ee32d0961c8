"""What a zygote imports in advance, learned from the first attempt of a suite.

Most of a short attempt's time goes into imports. A module is preloaded if the attempt imported it
from outside the suite's own folders, its import took time, and a process that has imported it may
still be forked, which a throw-away process tries (`harness/rank/imports.py`).
"""

import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.attempt.keeper import KeeperHandle, KeeperLost
from harness.attempt.settings import SupervisorSettings
from harness.attempt.start_up import StartUp
from harness.core.events import Event, read_text, read_texts

#: As `harness/rank/imports.py` has it: the rank's code is loaded by path and never imported here.
REWRITTEN_MARK = "!"
_RANK_FOLDER = Path(__file__).resolve().parents[1] / "rank"
#: A module that takes less is not worth a zygote's memory.
_WORTH_SECONDS = 0.001
#: Modules that may turn out unsafe, one a trial, before nothing is preloaded at all.
_MOST_UNSAFE = 8
_TRIAL_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What the first attempt of a suite imported."""

    modules: tuple[str, ...]
    """In the order of import, from outside the suite's own folders."""
    changed: tuple[str, ...]
    """Environment variables that differed once the suite was collected."""
    packages: str
    """Changes if the interpreter's packages do."""
    rewritten: tuple[str, ...] = ()
    """Packages whose assertions pytest rewrites, and whose import must do so too."""


def read_import_report(events: Sequence[tuple[int, Event]]) -> ImportReport | None:
    """Return what rank 0 said of its imports, if it came to its end."""
    own = [event for rank, event in events if rank == 0]
    done = [event for event in own if event["event"] == "imported"]
    if not done:
        return None
    modules = [read_texts(event, "modules") for event in own if event["event"] == "imports"]
    return ImportReport(
        tuple(name for names in modules for name in names),
        tuple(read_texts(done[-1], "changed")),
        read_text(done[-1], "packages"),
        tuple(read_texts(done[-1], "rewritten")),
    )


@dataclass(frozen=True, slots=True)
class Learned:
    """What a zygote should import beyond its base, or why nothing."""

    modules: tuple[str, ...] = ()
    note: str | None = None


class Learner:
    """Finds out what to preload, in a thread of its own; `result` is None until it is known.

    It starts the first zygote that preloads it at once: until that one serves, each attempt pays
    for the imports again.
    """

    def __init__(
        self,
        settings: SupervisorSettings,
        start_up: StartUp,
        report: ImportReport,
        start: Callable[[tuple[str, ...]], KeeperHandle],
    ) -> None:
        self.result: Learned | None = None
        self.keeper: KeeperHandle | None = None
        self._start = start
        self._settings = settings
        self._start_up = start_up
        self._report = report
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the trial, if it still goes on."""
        self._closed = True
        if self._process is not None:
            self._process.kill()
        self._thread.join()
        if self.keeper is not None:
            self.keeper.close()

    def _run(self) -> None:
        cache = _find_cache_file(self._settings, self._start_up, self._report)
        learned = _read_cache(cache) or self._learn()
        if learned.note is None and not self._closed:
            _write_cache(cache, learned)
        if learned.modules and not self._closed:
            with suppress(KeeperLost):  # the next attempt's own zygote will say why
                self.keeper = self._start((*self._settings.preload, *learned.modules))
        self.result = learned

    def _learn(self) -> Learned:
        names = [*self._settings.preload, *self._report.modules]
        for _ in range(_MOST_UNSAFE):
            trial = self._try_imports(names)
            if trial is None:
                break
            if trial["unsafe"] is None:
                return self._choose(trial)
            unsafe = trial["unsafe"]
            names = [name for name in names if not _is_below(name, unsafe)]
        return Learned(note="preloaded nothing more: a trial of the suite's imports failed")

    def _choose(self, trial: dict[str, Any]) -> Learned:
        by_suite = sorted(set(self._report.changed) - set(trial["changed"]))
        if by_suite:
            # A module that reads them at its import would be imported too early.
            names = ", ".join(by_suite)
            return Learned(note=f"preloaded nothing more: the suite sets {names} as it is imported")
        seconds = trial["seconds"]
        base = set(self._settings.preload)
        chosen = [n for n in seconds if seconds[n] >= _WORTH_SECONDS and n not in base]
        return Learned((*(f"{REWRITTEN_MARK}{name}" for name in self._report.rewritten), *chosen))

    def _try_imports(self, names: Sequence[str]) -> dict[str, Any] | None:
        reader, writer = os.pipe()
        command = [self._start_up.python, str(_RANK_FOLDER), "imports", "--fd", str(writer)]
        command += ["--path", str(self._settings.cwd)] if self._settings.cwd else []
        process = self._process = subprocess.Popen(
            command,
            cwd=self._settings.cwd or "/",
            env=dict(self._start_up.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[writer],
            start_new_session=True,
        )
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            try:
                asked = {"modules": list(names), "rewritten": self._report.rewritten}
                process.communicate(json.dumps(asked).encode(), _TRIAL_SECONDS)
                text = answer.read()
            except subprocess.TimeoutExpired:
                text = b""
            finally:
                process.kill()
                process.wait()
        result: dict[str, Any] | None = json.loads(text) if text else None
        return result


def _is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _find_cache_file(settings: SupervisorSettings, start_up: StartUp, report: ImportReport) -> Path:
    """Return where the answer is kept for the same interpreter, packages, environment, imports."""
    key = [start_up.python, start_up.environment, settings.preload, report.modules]
    key += [report.packages, report.changed, report.rewritten, str(settings.cwd)]
    text = json.dumps(key)
    folder = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(folder, "harness", "preload", hashlib.sha256(text.encode()).hexdigest()[:32])


def _read_cache(path: Path) -> Learned | None:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    known = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return Learned(tuple(value)) if known else None


def _write_cache(path: Path, learned: Learned) -> None:
    """Keep the answer; a folder that cannot be written to costs the next run one more trial."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(learned.modules))
        draft.replace(path)
