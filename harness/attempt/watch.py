"""The watchdog of one attempt: one loop over the keeper, the ranks' events and the clock.

Deadlines have names, and each name has a method: timeout -> SIGTERM, kill -> SIGKILL, stuck -> give
up. The ranks' own deaths and the keeper's `clean` move the attempt on.
"""

import contextlib
import selectors
import time

from harness.attempt.keeper import KeeperHandle, KeeperLost, KeeperRefused
from harness.attempt.launch import Launch, make_log_path
from harness.attempt.limits import LimitGuard
from harness.attempt.logs import LogReader
from harness.attempt.messages import (
    Clean,
    Exited,
    KeeperMessage,
    Orphan,
    Ready,
    Refused,
    Started,
    Unconfined,
    Unobserved,
)
from harness.attempt.spec import AttemptRecord, AttemptSpec, RankExit
from harness.attempt.stream import LineReader, Recorder
from harness.attempt.witness import Witness
from harness.core.last_words import AttemptWords
from harness.core.limits import LimitHit

#: After one rank's death, to see which of the others died of themselves.
SETTLE_SECONDS = 0.2
#: For helpers that leave by themselves once their parent is gone, before they count as orphans.
LINGER_SECONDS = 0.2
#: What SIGKILL may take; longer means a process stuck in the kernel.
STUCK_SECONDS = 10.0
# A rank may write faster than we read: other descriptors and the clock get their turn in between.
_READS_PER_TURN = 16
# More than the largest pipe holds: a writer that has survived must not keep us here.
_MOST_PIPE_READS = 32


class Watch:
    """Follows one attempt from its start until nothing of it is left."""

    def __init__(
        self,
        spec: AttemptSpec,
        keeper: KeeperHandle,
        recorder: Recorder,
        record: AttemptRecord,
        launch: Launch,
        cancel_fd: int,
    ) -> None:
        self._spec = spec
        self._keeper = keeper
        self.witness = Witness(keeper.pid)
        self._guard = LimitGuard(spec.limits, keeper.pid, launch.group)
        self._captures = launch.captures
        self._recorder = recorder
        self._record = record
        self._streams = [LineReader(fd) for fd in launch.event_fds]
        self._logs = [
            LogReader(fd, make_log_path(spec.folder, rank))
            for rank, fd in enumerate(launch.log_fds)
        ]
        self._alive = set(range(spec.tp))
        self._due = {"timeout": time.monotonic() + spec.timeout_s}
        self._sweeping = False
        self._over = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(keeper, selectors.EVENT_READ, self._read_keeper)
        self._selector.register(cancel_fd, selectors.EVENT_READ, self._on_cancel)
        self._cancel_fd = cancel_fd
        for rank, stream in enumerate(self._streams):
            self._selector.register(
                stream.fd, selectors.EVENT_READ, lambda rank=rank: self._read_events(rank)
            )
        for log in self._logs:
            self._selector.register(log.fd, selectors.EVENT_READ, lambda log=log: self._read(log))

    def run(self) -> None:
        """Loop until clean; what was seen is in the record. Raise KeeperRefused."""
        with contextlib.ExitStack() as logs:
            for log in self._logs:
                logs.enter_context(log)
            self._loop()

    def _loop(self) -> None:
        try:
            while not self._over:
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                self._strike()
        except KeeperLost as error:
            self._record.error = self._record.error or str(error)
        finally:
            self._selector.close()
        for rank, stream in enumerate(self._streams):
            self._drain(rank)
            if rest := stream.rest():
                self._recorder.take(rank, rest)
        for log in self._logs:
            _drain_log(log)
        self._record.words = AttemptWords(
            {rank: log.scanner.finish() for rank, log in enumerate(self._logs)}
        )

    # --- the clock ---

    def _patience(self) -> float | None:
        waits = [at - time.monotonic() for at in self._due.values()]
        if (look := self._guard.get_patience()) is not None:
            waits.append(look)
        return max(min(waits), 0.0) if waits else None

    def _strike(self) -> None:
        if (hit := self._guard.look()) is not None:
            self._end_for(hit)
        now = time.monotonic()
        for name in [name for name, at in self._due.items() if at <= now]:
            if self._due.pop(name, None) is not None:
                getattr(self, f"_on_{name}")()

    def _on_timeout(self) -> None:
        self._record.timed_out = True
        self.witness.look(hang=True)
        self._seal_words()
        self._mark_killed()
        self._keeper.terminate()
        self._due["kill"] = time.monotonic() + self._spec.grace_s

    def _end_for(self, hit: LimitHit) -> None:
        """Kill an attempt that came to a limit."""
        if self._record.limit is None and not self._record.timed_out:
            self._record.limit = hit
            self.witness.look(hang=False)
            self._seal_words()
        self._on_kill()

    def _seal_words(self) -> None:
        """Whatever the processes print from now on is what our own signals make them print."""
        for log in self._logs:
            _drain_log(log)
            log.scanner.seal()
        self._captures.seal()

    def _on_kill(self) -> None:
        self._mark_killed()
        self._sweep(0.0)

    def _on_stuck(self) -> None:
        left = ", ".join(f"rank {rank}" for rank in sorted(self._alive)) or "descendants"
        self._record.error = f"processes survived SIGKILL: {left}"
        self._over = True

    def _on_cancel(self) -> None:
        self._selector.unregister(self._cancel_fd)
        if self._alive:
            self._record.error = "cancelled"
            self._on_kill()

    def _mark_killed(self) -> None:
        self._record.killed += sorted(self._alive - set(self._record.killed))

    def _sweep(self, after_s: float) -> None:
        if not self._sweeping:
            self._sweeping = True
            self._keeper.sweep(after_s)
            self._due = {"stuck": time.monotonic() + after_s + STUCK_SECONDS}

    # --- the keeper ---

    def _read_keeper(self) -> None:
        for message in self._keeper.receive():
            self._take(message)

    def _take(self, message: KeeperMessage) -> None:
        match message:
            case Refused(why):
                raise KeeperRefused(why)
            case Unconfined(why, started):
                self._record.unconfined = why
                if not started:
                    self._record.error = f"--sandbox required is not possible here: {why}"
                    self._over = True
            case Exited():
                self._on_exit(message)
            case Orphan(pid, comm):
                self._record.orphans.append(f"{comm} ({pid or 'pid unknown'})")
            case Unobserved(_, why):
                self._record.unobserved.append(why)
            case Clean():
                self._over = True
            case Started(pids):
                self.witness.rank_pids = pids
            case Ready():
                pass

    def _on_exit(self, message: Exited) -> None:
        rank = message.rank
        self._drain(rank)
        # The kernel, or a look a moment ago, may have killed it for the limit.
        if message.signal == "SIGKILL" and (hit := self._guard.look_at_memory()) is not None:
            self._end_for(hit)
        self._alive.discard(rank)
        exited = RankExit(rank, message.code, message.signal, message.maxrss)
        self._record.exits.append(exited)
        if rank not in self._record.killed and self._is_death(exited):
            self._on_death(rank)
        elif rank == 0 and not self._sweeping:
            # Followers find their sockets at end of file, and leave.
            self._due = {"kill": time.monotonic() + self._spec.grace_s}
        if not self._alive:
            self._sweep(LINGER_SECONDS)

    def _is_death(self, exited: RankExit) -> bool:
        if exited.rank == 0:
            return exited.signal is not None or not self._recorder.finished
        return exited.signal is not None or exited.code != 0

    def _on_death(self, rank: int) -> None:
        if self._record.first_death is None:
            self._record.first_death = rank
            self.witness.look(hang=False)
        if not self._sweeping:
            self._due = {"kill": time.monotonic() + SETTLE_SECONDS}

    # --- the ranks ---

    def _read_events(self, rank: int) -> None:
        stream = self._streams[rank]
        for line in stream.read() or ():
            self._recorder.take(rank, line)
        if not stream.open:
            self._selector.unregister(stream.fd)

    def _read(self, log: LogReader) -> None:
        log.read()
        if not log.open:
            self._selector.unregister(log.fd)

    def _drain(self, rank: int) -> None:
        stream = self._streams[rank]
        for _ in range(_READS_PER_TURN):
            lines = stream.read() if stream.open else None
            if lines is None:
                return
            for line in lines:
                self._recorder.take(rank, line)


def _drain_log(log: LogReader) -> None:
    """Take what the pipe holds. Its writers are dead, or a keeper's death has left some."""
    for _ in range(_MOST_PIPE_READS):
        if not log.open or not log.read():
            return
