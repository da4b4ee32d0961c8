"""Which keeper serves the next attempt.

Forks of one zygote share its hash seed and address layout, so a flake that depends on them would
vanish or follow the zygote: it is recycled every few attempts, and recorded.
"""

from harness.attempt.keeper import KeeperHandle, KeeperLost
from harness.attempt.settings import SupervisorSettings

#: Attempts that one zygote serves.
RECYCLE_AFTER = 10
# Preloading torch takes seconds, niced: begun here, it is mostly done when the current one retires,
# and a run of one or two attempts is spared it.
_PREPARE_AT = 3
_READY_SECONDS = 180.0


class Zygotes:
    """The current keeper, and the next while it preloads. One that preloads nothing stays."""

    def __init__(self, settings: SupervisorSettings) -> None:
        self._settings = settings
        self._preload = settings.preload if settings.isolation == "fork" else ()
        self._current: KeeperHandle | None = None
        self._next: KeeperHandle | None = None
        self._served = 0

    def take(self) -> KeeperHandle:
        """The keeper for one more attempt, ready. Raises KeeperLost where none comes up."""
        if self._preload and self._served >= RECYCLE_AFTER:
            self.discard()
        keeper = self._current or self._promote()
        self._served += 1
        return keeper

    def warm(self) -> None:
        """Have a keeper ready, so that the first attempt does not wait. Raises KeeperLost."""
        if self._current is None:
            self._promote()

    def prepare(self) -> None:
        """Start preloading the next one, niced, if it is time. To be called while one serves."""
        if self._preload and self._served >= _PREPARE_AT and self._next is None:
            self._next = self._start(nice=True)

    def discard(self) -> None:
        """Retire the current keeper, as spent or as broken."""
        if self._current is not None:
            self._current.close()
        self._current = None

    def close(self) -> None:
        """End both."""
        self.discard()
        if self._next is not None:
            self._next.close()
        self._next = None

    def _promote(self) -> KeeperHandle:
        prepared, self._next = self._next, None
        self._current, self._served = self._ready(prepared), 0
        return self._current

    def _ready(self, prepared: KeeperHandle | None) -> KeeperHandle:
        if prepared is not None:
            try:
                prepared.wait_ready(_READY_SECONDS)
                return prepared
            except KeeperLost:
                prepared.close()
        fresh = self._start(nice=False)
        try:
            fresh.wait_ready(_READY_SECONDS)
        except KeeperLost:
            fresh.close()
            raise
        return fresh

    def _start(self, *, nice: bool) -> KeeperHandle:
        settings = self._settings
        return KeeperHandle.start(settings.python, settings.cwd, self._preload, nice=nice)
