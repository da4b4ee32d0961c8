"""How the broker follows one attempt, from the check of its devices to its record or its loss."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from ray.exceptions import RayActorError, RayError, RayTaskError

from harness.cluster.actor import AttemptOutcome
from harness.cluster.crew import Crew
from harness.cluster.messages import (
    AttemptEnded,
    AttemptEvents,
    AttemptLost,
    Report,
    StartAttempt,
)
from harness.cluster.wording import clean_line, clean_text

#: How long a device may take to prove itself clean: it may wait for memory to be released.
CHECK_WAIT_S = 20.0
#: How long an actor may leave a question about its attempt without an answer.
SILENT_WAIT_S = 20.0
#: How long a keeper may take to be ready, before an attempt starts.
READY_WAIT_S = 180.0
#: What a supervisor may need past the timeout: stacks and flight recorders of a hang, grace,
#: SIGKILL, and a keeper that does not answer.
OVERTIME_S = 60.0
_EVENTS_EVERY_S = 0.25


class AttemptFollower:
    """Starts one attempt and reports what becomes of it, exactly once."""

    def __init__(self, crew: Crew, request: StartAttempt, report: Callable[[Report], None]) -> None:
        self._crew = crew
        self._request = request
        self._report = report
        self._leader = request.members[0]
        self._events_seen = 0
        self._started = 0.0
        self._deadline = 0.0

    async def run(self) -> None:
        """Check the devices, run the attempt, and report its end."""
        lost = await self._check_devices()
        self._report(lost or await self._make_attempt())

    def cancel(self) -> None:
        """Ask the leading actor to end the attempt."""
        self._crew.actor(self._leader).cancel()

    async def _check_devices(self) -> AttemptLost | None:
        if self._request.spec.device == "cpu":
            return None  # a CPU slot is always clean, and the attempt itself shows a dead actor
        members = self._request.members
        answers = [self._crew.actor(m).check_device().get(CHECK_WAIT_S) for m in members]
        found = await asyncio.gather(*answers, return_exceptions=True)
        return _judge_devices(self._request.number, dict(zip(members, found, strict=True)))

    async def _make_attempt(self) -> AttemptEnded | AttemptLost:
        request, is_remote = self._request, not self._crew.is_here(self._leader)
        self._started = time.monotonic()
        self._deadline = self._started + READY_WAIT_S + request.spec.timeout_s + OVERTIME_S
        outcome = self._crew.actor(self._leader).run_attempt(request.spec, is_remote)
        try:
            return self._judge_outcome(await self._follow(outcome.start_waiting()))
        except TimeoutError as error:
            return self._lose(f"device actor lost: {error}", dead=True)
        except RayActorError as error:
            return self._lose(f"device actor lost: {clean_line(str(error))}", dead=True)
        except RayError as error:
            text = clean_text(str(error))
            actor_lives = isinstance(error, RayTaskError)
            return self._lose(
                f"supervisor failed: {clean_line(text)}", dead=not actor_lives, detail=text
            )

    async def _follow(self, outcome: "asyncio.Future[AttemptOutcome]") -> AttemptOutcome:
        """Return the outcome. Raise TimeoutError if the actor is silent or the attempt overdue."""
        while not outcome.done():
            await asyncio.wait({outcome}, timeout=_EVENTS_EVERY_S)
            if not outcome.done():
                await self._forward_events(outcome)
                self._check_clock()
        return outcome.result()

    async def _forward_events(self, outcome: "asyncio.Future[AttemptOutcome]") -> None:
        answer = self._crew.actor(self._leader).read_events(self._events_seen).start_waiting()
        both: set[asyncio.Future[Any]] = {answer, outcome}
        await asyncio.wait(both, timeout=SILENT_WAIT_S, return_when="FIRST_COMPLETED")
        if answer.done():
            self._take_events(answer.result())
        elif not outcome.done():
            raise TimeoutError(f"it has not answered for {SILENT_WAIT_S:g} s")

    def _take_events(self, events: list[tuple[int, dict[str, object]]]) -> None:
        if not events:
            return
        if self._events_seen == 0:
            spec = self._request.spec
            self._deadline = time.monotonic() + spec.timeout_s + OVERTIME_S
        self._events_seen += len(events)
        self._report(AttemptEvents(self._request.number, events))

    def _check_clock(self) -> None:
        if time.monotonic() > self._deadline:
            seconds = time.monotonic() - self._started
            raise TimeoutError(f"its attempt has not ended after {seconds:.0f} s")

    def _judge_outcome(self, outcome: AttemptOutcome) -> AttemptEnded | AttemptLost:
        number = self._request.number
        if outcome.record is not None:
            return AttemptEnded(number, outcome.record, outcome.files)
        reason = outcome.unusable or "no record"
        return AttemptLost(number, reason, outcome.before_start, unusable=reason)

    def _lose(self, reason: str, *, dead: bool, detail: str = "") -> AttemptLost:
        members = (self._leader,) if dead else ()
        before_start = self._has_not_started()
        return AttemptLost(self._request.number, reason, before_start, detail, dead=members)

    def _has_not_started(self) -> bool:
        """Return True only if no rank can have begun: they start after their folder is made."""
        return self._crew.is_here(self._leader) and not self._request.spec.folder.exists()


def _judge_devices(
    number: int, found: Mapping[int, str | BaseException | None]
) -> AttemptLost | None:
    unclean = {member: fault for member, fault in found.items() if isinstance(fault, str)}
    dead = tuple(m for m, fault in found.items() if isinstance(fault, BaseException))
    if not unclean and not dead:
        return None
    reason = "; ".join(unclean.values()) or "a device's actor does not answer"
    return AttemptLost(number, reason, before_start=True, unclean=unclean, dead=dead)
