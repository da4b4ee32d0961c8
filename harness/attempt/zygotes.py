"""Which keeper serves the next attempt.

A *keeper* is the process that starts ranks and reaps them. A *zygote* is a keeper that has imported
modules and is forked for each rank. Forks of one zygote share its hash seed and address layout, so
a flake that depends on them would vanish or follow the zygote: it is recycled every few attempts,
and recorded. There is one zygote for each start-up environment (`start_up.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.attempt.keeper import KeeperHandle, KeeperLost
from harness.attempt.preloading import ImportReport, Learner
from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptSpec, Isolation
from harness.attempt.start_up import (
    StartUp,
    choose_hash_seed,
    choose_zygote_hash_seed,
    make_first_start_up,
    make_plain_start_up,
    make_start_up,
)

#: A run whose cells need more zygotes than this at once spawns the others' attempts: each zygote
#: holds hundreds of MiB.
MOST_ZYGOTES = 4
# Preloading torch takes seconds, niced: begun after this many attempts of one zygote, it is mostly
# done when the current one retires, and a run of one or two attempts is spared it.
_PREPARE_AFTER = 3
_READY_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Place:
    """The keeper that will start an attempt's ranks, and how."""

    keeper: KeeperHandle
    isolation: Isolation
    hash_seed: str
    note: str | None = None
    """What the user should know of this choice."""
    reports_imports: bool = False
    """Rank 0 is asked what it imports."""

    @property
    def environment(self) -> dict[str, str]:
        """What every rank's environment has for it."""
        report = {"HARNESS_REPORT_IMPORTS": "1"} if self.reports_imports else {}
        return {"PYTHONHASHSEED": self.hash_seed, **report}


class Zygotes:
    """All keepers of one supervisor."""

    def __init__(self, settings: SupervisorSettings) -> None:
        self._settings = settings
        self._plain = KeeperLine(make_plain_start_up(settings), settings, ())
        self._lines: dict[StartUp, KeeperLine] = {}
        self._unforkable: dict[StartUp, str] = {}

    def take(self, spec: AttemptSpec) -> Place:
        """Return where to make one more attempt, its keeper ready. Raise KeeperLost if none is."""
        start_up = make_start_up(self._settings, spec)
        why = None if spec.isolation == "spawn" else self._find_obstacle(start_up)
        if spec.isolation == "spawn" or why:
            keeper = self._plain.take()
            return Place(keeper, "spawn", choose_hash_seed(self._settings, spec), why)
        line = self._open_line(start_up)
        keeper = line.take()
        return Place(keeper, "fork", keeper.hash_seed, line.pop_note(), line.wants_imports)

    def refuse(self, spec: AttemptSpec, why: str) -> None:
        """Remember that this attempt's zygote cannot be forked: such attempts are spawned."""
        start_up = make_start_up(self._settings, spec)
        if not self._lines[start_up].unlearn():
            self._unforkable[start_up] = why
            self._lines.pop(start_up).close()

    def learn(self, spec: AttemptSpec, report: ImportReport) -> None:
        """Take what an attempt said of its imports, for the zygotes of its start-up environment."""
        line = self._lines.get(make_start_up(self._settings, spec))
        if line is not None:
            line.learn(report)

    def warm(self, environment: Mapping[str, str]) -> None:
        """Have the keeper ready that serves cells which set no more than this. Raise KeeperLost."""
        if self._settings.isolation == "spawn":
            self._plain.warm()
        else:
            self._open_line(make_first_start_up(self._settings, environment)).warm()

    def prepare(self, spec: AttemptSpec) -> None:
        """Start preloading the next zygote, niced, if it is time. Called while one serves."""
        line = self._lines.get(make_start_up(self._settings, spec))
        if line is not None:
            line.prepare()

    def discard(self, keeper: KeeperHandle) -> None:
        """End a keeper that an attempt has broken."""
        for line in (self._plain, *self._lines.values()):
            line.discard(keeper)

    def close(self) -> None:
        """End all keepers."""
        for line in (self._plain, *self._lines.values()):
            line.close()

    def _find_obstacle(self, start_up: StartUp) -> str | None:
        if start_up in self._unforkable:
            return f"spawned, since its zygote cannot be forked: {self._unforkable[start_up]}"
        if start_up not in self._lines and len(self._lines) >= MOST_ZYGOTES:
            return f"spawned, since the cells need more than {MOST_ZYGOTES} zygotes"
        return None

    def _open_line(self, start_up: StartUp) -> "KeeperLine":
        settings = self._settings
        if start_up not in self._lines:
            self._lines[start_up] = KeeperLine(start_up, settings, settings.preload)
        return self._lines[start_up]


class KeeperLine:
    """The keepers of one start-up environment: the current one, and those that still preload."""

    def __init__(
        self, start_up: StartUp, settings: SupervisorSettings, preload: Sequence[str]
    ) -> None:
        self._start_up = start_up
        self._settings = settings
        self._preload = tuple(preload)
        self._current: KeeperHandle | None = None
        self._ahead: list[KeeperHandle] = []
        self._served = 0
        self._is_stale = False
        self._note: str | None = None
        self._learner: Learner | None = None
        self.wants_imports = bool(preload) and settings.learn_preload
        """No attempt has said yet what it imports."""

    def take(self) -> KeeperHandle:
        """Return the keeper for one more attempt, ready. Raise KeeperLost if none comes up."""
        self._adopt_learned()
        spent = self._served >= self._settings.attempts_per_zygote
        # One that preloads more takes over once it is ready; until then this one serves.
        replaced = self._is_stale and any(keeper.is_settled for keeper in self._ahead[:1])
        if self._preload and (spent or replaced):
            self._retire()
        keeper = self._current or self._promote()
        self._served += 1
        return keeper

    def warm(self) -> None:
        """Have a keeper ready. Raise KeeperLost if none comes up."""
        if self._current is None:
            self._promote()

    def prepare(self) -> None:
        """Start the next zygotes, niced, if it is time."""
        self._adopt_learned()
        limit = self._settings.attempts_per_zygote
        due = self._is_stale or self._served >= min(_PREPARE_AFTER, limit)
        if not self._preload or not due:
            return
        while len(self._ahead) < self._settings.zygotes_ahead:
            self._ahead.append(self._start(self._preload, nice=True))

    def discard(self, keeper: KeeperHandle) -> None:
        """End this keeper, if it is the current one."""
        if self._current is keeper:
            self._retire()

    def pop_note(self) -> str | None:
        """Return what the user should know, once."""
        note, self._note = self._note, None
        return note

    def learn(self, report: ImportReport) -> None:
        """Find out in the background what of this a zygote should import; the first one counts."""
        if self.wants_imports:
            self.wants_imports = False
            self._learner = Learner(self._settings, self._start_up, report, self._start)

    def unlearn(self) -> bool:
        """Go back to the base, if more than it is preloaded. Return whether that changes it."""
        learned = self._preload != self._settings.preload
        if learned:
            self._set_preload(self._settings.preload)
            self._retire()
        return learned

    def close(self) -> None:
        """End all."""
        self._retire()
        self._drop_ahead()
        if self._learner is not None:
            self._learner.close()

    def _adopt_learned(self) -> None:
        learner = self._learner
        if learner is None or learner.result is None:
            return
        self._learner, self._note = None, learner.result.note
        if learner.keeper is not None:
            self._set_preload((*self._settings.preload, *learner.result.modules))
            self._ahead.append(learner.keeper)

    def _set_preload(self, modules: tuple[str, ...]) -> None:
        self._preload = modules
        self._is_stale = True
        self._drop_ahead()

    def _drop_ahead(self) -> None:
        while self._ahead:
            self._ahead.pop().close()

    def _retire(self) -> None:
        if self._current is not None:
            self._current.close()
        self._current = None

    def _promote(self) -> KeeperHandle:
        prepared = self._ahead.pop(0) if self._ahead else None
        self._current, self._served, self._is_stale = self._wait_for(prepared), 0, False
        return self._current

    def _wait_for(self, prepared: KeeperHandle | None) -> KeeperHandle:
        if prepared is not None:
            try:
                prepared.wait_ready(_READY_SECONDS)
                return prepared
            except KeeperLost:
                prepared.close()
        fresh = self._start(self._preload)
        try:
            fresh.wait_ready(_READY_SECONDS)
        except KeeperLost:
            fresh.close()
            raise
        return fresh

    def _start(self, preload: tuple[str, ...], *, nice: bool = False) -> KeeperHandle:
        hash_seed = choose_zygote_hash_seed(self._start_up)
        return KeeperHandle.start(
            self._start_up, self._settings.cwd, preload, hash_seed=hash_seed, nice=nice
        )
