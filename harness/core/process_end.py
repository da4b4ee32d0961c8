"""The failure of an attempt's process itself, named by what it said before it ended. Pure.

The end (`SIGKILL @ test_x`) says that; the cause, if a process printed one, says why, and comes
first in the signature: `RuntimeError: NCCL error (SIGKILL @ test_x)`.
"""

import re
from dataclasses import replace

from harness.core import events as wire
from harness.core.cause_rules import Strength
from harness.core.events import Event
from harness.core.kinds import CUDA_KINDS, Exc, Frame, Kind, Phase, classify_exception
from harness.core.last_words import AttemptWords, Cause, Words, choose_cause
from harness.core.result import Ending, Failure
from harness.core.seen import Seen
from harness.core.signature import make_cause_signature, normalise
from harness.core.stacks import Stack, describe_ranks, describe_threads, find_current

#: Failures that only say that something else failed: a process that ended, a peer that is gone.
_CONSEQUENCE = re.compile(
    r"exit ?code|returncode|exit status|exited|\bdied\b|terminated|\bkilled\b|Broken ?Process|"
    r"Broken ?Pipe|EOFError|Connection ?(Refused|Reset|Aborted|closed)|TimeoutExpired|"
    r"CalledProcessError|Process(Exited|Raised)Exception|Timed? ?out|queue\.Empty",
    re.I,
)
_SIGNALS = {2: "SIGINT", 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
#: How a test says that a child of it was killed.
_KILLED = re.compile(
    r"SIGKILL|signal 9\b|assert -9 ==|(?:exit ?code|status|returncode)[ =:(]{1,3}(?:-9|137)\b", re.I
)
_OUT_OF_MEMORY = "the kernel killed a process for memory"
_MOST_LINES = 12


class ProcessEnd:
    """How the processes of an attempt ended, and why."""

    def __init__(self, seen: Seen, ending: Ending) -> None:
        self._seen = seen
        self._ending = ending

    def describe_failure(self) -> Failure | None:
        """Return the failure, charged to the test that was running; None if all ended well."""
        if (hit := self._ending.limit) is not None:
            message = f"{hit.message} ({self._describe_place()})"
            return self._explain(hit.kind, hit.kind.value, 0, message)
        if self._ending.timed_out:
            return self._describe_hang()
        crash = self._find_first_crash()
        if crash is None:
            return None
        rank, signal, code = crash
        if rank in self._seen.follower_errors and not signal:
            return self._describe_follower(rank, self._seen.follower_errors[rank])
        what = signal or f"exit {code}"
        where = self._seen.crumbs.get(rank, "") if rank else self._describe_place()
        message = f"rank {rank} ended by {what} {where}".strip() + self._describe_sender(rank, what)
        kind = self._classify_signal(rank, signal) if signal else self._classify_exit(rank)
        if signal == "SIGKILL" and self._ending.words.oom_kills:
            kind = Kind.OUT_OF_MEMORY
            message += f"; {_OUT_OF_MEMORY} while the attempt ran"
        return self._explain(kind, what, rank, message)

    def _describe_hang(self) -> Failure:
        message = f"no end after {self._ending.timeout_s:g} s ({self._describe_place()})"
        message = "; ".join([message, *describe_threads(self._get_log(0).stacks)])
        return self._explain(Kind.HANG, "hang", 0, "\n".join([message, *self._list_ranks()]))

    def format_place(self, what: str, rank: int = 0) -> str:
        """Return `what on rank 1 @ test_x`."""
        test = (self._seen.current or "").rpartition("::")[2].partition("[")[0]
        return f"{what}{f' on rank {rank}' if rank else ''} @ {test or self._seen.phase.value}"

    def _explain(self, kind: Kind, what: str, rank: int, message: str) -> Failure:
        """Return the failure with its cause, or else with the place in the code, if one is known.

        A fatal signal's own words come last: they say no more than the signal and its place do.
        """
        cause = self._find_cause(rank)
        if kind is Kind.OUT_OF_MEMORY and (cause is None or cause.strength is Strength.LAST_LINE):
            around = cause.lines if cause else []
            cause = Cause(Strength.EXCEPTION, _OUT_OF_MEMORY, "by its own count", around)
        stack = self._find_stack(rank)
        if cause is None or cause.strength is Strength.FATAL:
            function = self._find_function(rank, stack)
            signature = self.format_place(f"{what} in {function}" if function else what, rank)
        else:
            signature = make_cause_signature(cause.line, self.format_place(what, rank))
        lines = _list_lines(cause, stack)
        text = "\n".join([message, *lines])
        return Failure(kind, self._seen.phase, signature, text, self._seen.current)

    def _list_ranks(self) -> list[str]:
        words = self._ending.words
        stacks = {rank: self._find_stack(rank) for rank in words.logs}
        return [*words.collectives, *describe_ranks(stacks)]

    def _find_stack(self, rank: int) -> Stack | None:
        """Return what a rank did at its end: its own word, or else what was seen from outside."""
        words = self._ending.words
        return find_current(self._get_log(rank).stacks) or words.stacks.get(rank)

    def _find_cause(self, rank: int) -> Cause | None:
        """Return what names the cause best, in the rank's own words or else in another's."""
        words = self._ending.words
        own = [*(words.captured if rank == 0 else ()), _drop_last_line(self._get_log(rank), rank)]
        found = choose_cause(own)
        if found is None or found.strength < Strength.FATAL:
            thread = self._describe_thread_error()
            found = thread or self._look_elsewhere(rank) or found
        # Nobody's last line explains a process that stands still.
        if found and found.strength is Strength.LAST_LINE and self._ending.timed_out:
            return None
        return found

    def _look_elsewhere(self, rank: int) -> Cause | None:
        words = self._ending.words
        others = [log for other, log in sorted(words.logs.items()) if other != rank]
        found = choose_cause([*others, *(words.captured if rank else ()), *words.earlier])
        return found if found and found.strength >= Strength.EXCEPTION else None

    def _describe_thread_error(self) -> Cause | None:
        for event in self._seen.thread_errors:
            exc = wire.read_exception(event)
            if exc is not None and event["test"] == self._seen.current:
                name = exc.types[0].rpartition(".")[2] if exc.types else "Exception"
                line = f"{name}: {exc.message.partition(chr(10))[0]}"
                source = f"thread {wire.read_text(event, 'thread')}"
                frames = [f"  {_format_frame(frame)}" for frame in exc.frames]
                return Cause(Strength.EXCEPTION, line, source, [*frames, line])
        return None

    def _get_log(self, rank: int) -> Words:
        return self._ending.words.logs.get(rank, Words())

    def _find_function(self, rank: int, stack: Stack | None) -> str | None:
        """Return the function that the process was in, unless it is the test itself."""
        frame: Frame | None = None
        left = None if self._ending.timed_out else self._seen.leaving.get(rank)
        if left is not None:
            frame = next(iter(reversed(wire.read_frames(left))), None)
        elif stack and stack.recursive:
            return f"{stack.recursive}, which calls itself"
        elif stack:
            frame = stack.own if self._ending.timed_out else stack.frames[0]
        test = (self._seen.current or "").rpartition("::")[2].partition("[")[0]
        return normalise(frame.function) if frame and frame.function != test else None

    def _classify_signal(self, rank: int, signal: str) -> Kind:
        """Return the kind of a death by a signal.

        C++ aborts a process whose exception nobody caught, as NCCL's watchdog does with an error of
        CUDA's: the same fault as the exception that Python sees when it notices first.
        """
        cause = self._find_cause(rank) if signal == "SIGABRT" else None
        if cause is None or cause.strength < Strength.DEVICE or not self._ending.scope.graphs:
            return Kind.SIGNAL
        if cause.strength is Strength.DEVICE_ASSERTION:
            return Kind.DEVICE_ASSERT
        found = classify_exception(Exc((), cause.line), in_setup=False, scope=self._ending.scope)
        return found if found in CUDA_KINDS else Kind.SIGNAL

    def _classify_exit(self, rank: int) -> Kind:
        """Return the kind of a process that left: pytest-timeout leaves one whose test hangs."""
        frames = wire.read_frames(self._seen.leaving.get(rank, {}))
        timed_out = any(frame.file.endswith("pytest_timeout.py") for frame in frames)
        return Kind.HANG if timed_out else Kind.EARLY_EXIT

    def _describe_sender(self, rank: int, signal: str) -> str:
        """Return who sent the signal, if a process of the attempt said that it would."""
        pid = self._seen.pids.get(rank)
        for event in reversed(self._seen.signals):
            number = int(wire.read_number(event, "signal"))
            target = int(wire.read_number(event, "to"))
            if _SIGNALS.get(number, f"SIG{number}") == signal and abs(target) == pid:
                by = int(wire.read_number(event, "by"))
                who = "the process itself" if by == pid else f"process {by}, a fork of it"
                where = wire.read_frames(event)
                return f", sent by {who} in {_format_frame(where[-1])}" if where else ""
        return ""

    def _describe_follower(self, rank: int, exc: Exc | None) -> Failure:
        """A follower that ended by an exception of its own: that exception's kind, not its exit."""
        failure = self._seen.make_failure(
            exc,
            self._seen.phase,
            self._seen.current or "",
            in_setup=self._seen.phase is Phase.SETUP,
        )
        return replace(
            failure,
            signature=f"{failure.signature} on rank {rank}",
            message=" ".join((f"rank {rank}", self._seen.crumbs.get(rank, ""))).strip()
            + f": {failure.message}",
            test=self._seen.current,
        )

    def _find_first_crash(self) -> tuple[int, str | None, int | None] | None:
        """(rank, signal, code) of the first death that was none of the supervisor's doing."""
        for rank, code, signal in self._ending.exits:
            if signal or (rank and code) or (rank == 0 and not self._has_ended_as_said(code)):
                return rank, signal, code
        return None

    def _has_ended_as_said(self, code: int | None) -> bool:
        """Whether rank 0 came to its end, and left as its last line said it would."""
        if self._seen.finish is None or code is None:
            return False
        return code == int(wire.read_number(self._seen.finish, "exitstatus")) & 0xFF

    def _describe_place(self) -> str:
        if self._seen.finish is not None:
            return "at the interpreter's exit"
        return f"in {self._seen.current}" if self._seen.current else f"in {self._seen.phase.value}"


def add_printed_cause(failure: Failure, report: Event, words: AttemptWords) -> Failure:
    """Return the failure of a test, named by what its child processes printed if that says more.

    Only a failure that itself says no more than that a process ended, or a peer was gone, is
    renamed: what a test printed and dealt with is no cause.
    """
    if words.oom_kills and _KILLED.search(f"{failure.signature}\n{failure.message}"):
        return _blame_memory(failure)
    printed = words.tests.get(wire.read_text(report, "output"))
    cause = choose_cause([printed]) if printed else None
    if cause is None or not _is_consequence(failure, cause):
        return failure
    signature = make_cause_signature(cause.line, _shorten_end(failure))
    lines = ["it had printed:", *cause.lines[:_MOST_LINES]]
    return replace(
        failure, signature=signature, message="\n".join([cause.line, failure.message, *lines])
    )


def _shorten_end(failure: Failure) -> str:
    name, _, rest = failure.signature.partition(":")
    _, at, function = rest.rpartition(" @ ")
    return f"{name} @ {function}" if at else name


def _blame_memory(failure: Failure) -> Failure:
    """A child that was killed, while the kernel killed some process for memory."""
    signature = make_cause_signature(_OUT_OF_MEMORY, _shorten_end(failure))
    message = f"{_OUT_OF_MEMORY} while the attempt ran\n{failure.message}"
    return replace(failure, kind=Kind.OUT_OF_MEMORY, signature=signature, message=message)


def _is_consequence(failure: Failure, cause: Cause) -> bool:
    """Tell whether the failure only says that something failed, and the cause says what."""
    if failure.kind is Kind.DEVICE_ASSERT:
        return cause.strength is Strength.DEVICE_ASSERTION
    return _CONSEQUENCE.search(f"{failure.signature}\n{failure.message}") is not None


def _list_lines(cause: Cause | None, stack: Stack | None) -> list[str]:
    if cause is not None and cause.strength is not Strength.FATAL:
        around = [line for line in cause.lines[-_MOST_LINES:] if line.strip() != cause.line]
        return [cause.line, f"({cause.source})", *around]
    # A recursion fills a stack with one line.
    frames = dict.fromkeys(f"  {_format_frame(frame)}" for frame in stack.telling) if stack else {}
    place = [f"in {_format_frame(stack.own)}"] if stack and stack.own else []
    return [*([cause.line] if cause else []), *place, *list(frames)[:_MOST_LINES]]


def _format_frame(frame: Frame) -> str:
    return f"{frame.function} ({frame.file.rpartition('/')[2]}:{frame.line})"


def _drop_last_line(log: Words, rank: int) -> Words:
    """Rank 0's log ends with pytest's progress, which is nobody's last word."""
    if rank:
        return log
    causes = tuple(cause for cause in log.causes if cause.strength is not Strength.LAST_LINE)
    return replace(log, causes=causes)
