"""The wire's events and the processes' ends of one attempt, folded into outcomes.

The rules that a last report alone would get wrong, each with a test of its own:
a failing subtest fails its test though the test's own report says passed; a rerun in any phase is
a failure that recovered in process; a process that left without `finish` failed, whatever it
printed; a failed setUpClass or collection is one failure, not n.
"""

import re

from harness.core import events as wire
from harness.core.engine_rules import refine_failure
from harness.core.events import Event
from harness.core.kinds import PRECEDENCE, Kind, Phase
from harness.core.process_end import ProcessEnd, add_printed_cause
from harness.core.result import AttemptResult, Ending, Failure, Outcome, TestResult
from harness.core.seen import Seen
from harness.core.signature import normalise
from harness.core.statuses import AttemptStatus

#: What Gloo and NCCL say to the ranks that are left when one dies.
_PEER_LEFT = re.compile(r"Connection (closed|reset) by (remote )?peer", re.I)

#: pytest's exit statuses that say it did not run what was asked, whatever the reports say.
_GAVE_UP = {
    1: "failures that no report named",
    2: "interrupted",
    3: "internal error",
    4: "usage error",
}


def fold(events: list[tuple[int, Event]], ending: Ending) -> AttemptResult:
    """Decide an attempt from all its events, (rank, event) in order of arrival, and its ending."""
    seen = Seen(ending.scope)
    for rank, event in events:
        seen.take(rank, event)
    return _Decision(seen, ending).result()


class _Decision:
    """Decides what all events and the processes' ending say together."""

    def __init__(self, seen: Seen, ending: Ending) -> None:
        self._seen = seen
        self._ending = ending
        self._end = ProcessEnd(seen, ending)

    def result(self) -> AttemptResult:
        """The attempt, decided."""
        process = self._end.describe_failure()
        process = refine_failure(process, self._ending.scope) if process else None
        tests = [self._test(test, process) for test in self._list_known_tests()]
        whole = [refine_failure(one, self._ending.scope) for one in self._seen.whole]
        failures = [*whole, *self._class_failures()]
        failures += [t.failure for t in tests if t.failure and t.failure not in failures]
        if process and process not in failures:
            failures.append(process)
        failures = _select_causes(failures)
        if not failures:
            failures += self._session_failures(tests)
        status = AttemptStatus.FAILED if failures else AttemptStatus.PASSED
        return AttemptResult(
            status=AttemptStatus.INFRA if self._ending.infrastructure else status,
            tests=tuple(tests),
            failures=_infra(self._ending.infrastructure)
            if self._ending.infrastructure
            else tuple(failures),
            capture=self._seen.capture(),
            inside_seconds=wire.read_amount(self._seen.finish or {}, "inside_seconds"),
            replays=dict(self._seen.replays),
            eager_steps=self._seen.eager,
            audit=tuple(self._seen.observed.audit),
            notes=tuple(
                [*self._ending.notes, *self._seen.notes]
                + self._seen.observed.list_notes(bool(self._seen.traces))
                + [f"left behind and reaped: {p}" for p in self._ending.left_behind]
            ),
        )

    def _list_known_tests(self) -> list[str]:
        return list(dict.fromkeys([*self._seen.collected, *self._seen.reports]))

    def _session_failures(self, tests: list[TestResult]) -> list[Failure]:
        """What is wrong although no test and no process failed: nothing ran, or pytest gave up."""
        status = int(wire.read_number(self._seen.finish or {}, "exitstatus"))
        if status in _GAVE_UP:
            message = f"pytest ended with status {status}: {_GAVE_UP[status]}"
            return [Failure(Kind.ERROR, Phase.RUN, message, message)]
        if any(test.outcome is not Outcome.PRECLUDED for test in tests):
            return []
        return [Failure(Kind.NO_TESTS, Phase.SETUP, "no tests collected", "no tests collected")]

    def _class_failures(self) -> list[Failure]:
        """One failure per class or module whose set-up failed, not one per test of it."""
        found: dict[str, Failure] = {}
        for test, reports in self._seen.reports.items():
            for report in reports:
                if report.get("class_setup") is True and _is_bad(report):
                    scope = test.rpartition("::")[0]
                    found.setdefault(scope, self._read_failure(scope, report))
        return list(found.values())

    def _test(self, test: str, process: Failure | None) -> TestResult:
        reports = self._seen.reports.get(test, [])
        seconds = sum(wire.read_amount(report, "seconds") for report in reports)
        bad = [report for report in reports if _is_bad(report)]
        if process and process.test == test:
            own = None if not bad else self._worst(test, bad)
            worst = process if own is None else min(own, process, key=_precedence)
            return TestResult(test, Outcome.FAILED, seconds, worst)
        if any(report.get("class_setup") is True for report in bad):
            return TestResult(test, Outcome.PRECLUDED, seconds)
        if bad:
            reran = any(report.get("outcome") == "rerun" for report in bad)
            final_bad = any(report.get("outcome") == "failed" for report in bad)
            return TestResult(
                test,
                Outcome.FAILED,
                seconds,
                self._worst(test, bad),
                reran,
                reran and not final_bad,
            )
        if test not in self._seen.ended:
            return self._end_unended(test, seconds)
        return TestResult(test, _clean_outcome(reports), seconds)

    def _end_unended(self, test: str, seconds: float) -> TestResult:
        """A test without its end: the one that ended the session, or one never reached."""
        if test != self._seen.current:
            return TestResult(test, Outcome.PRECLUDED, seconds)
        exc = self._seen.ended_by
        by = exc.types[0].rpartition(".")[2] if exc and exc.types else "something"
        words = exc.message.strip() if exc else ""
        message = f"{by} ended the session in {test}" + (f": {words}" if words else "")
        signature = self._end.format_place(normalise(f"session ended by {by}"))
        failure = Failure(Kind.EARLY_EXIT, self._seen.phase, signature, message, test)
        return TestResult(test, Outcome.FAILED, seconds, failure)

    def _worst(self, test: str, bad: list[Event]) -> Failure:
        return min((self._read_failure(test, report) for report in bad), key=_precedence)

    def _read_failure(self, test: str, report: Event) -> Failure:
        exc, in_setup = wire.read_exception(report), report.get("when") == "setup"
        failure = self._seen.make_failure(exc, report["phase"], test, in_setup=in_setup)
        failure = add_printed_cause(failure, report, self._ending.words)
        return refine_failure(failure, self._ending.scope)


def _is_bad(report: Event) -> bool:
    return report.get("outcome") in ("failed", "rerun")


def _clean_outcome(reports: list[Event]) -> Outcome:
    if not reports:
        return Outcome.PRECLUDED
    skipped = any(r.get("outcome") == "skipped" and not r.get("subtest") for r in reports)
    return Outcome.SKIPPED if skipped else Outcome.PASSED


def _precedence(failure: Failure) -> int:
    return PRECEDENCE[failure.kind]


def _select_causes(failures: list[Failure]) -> list[Failure]:
    """Without those of ranks that only saw a peer leave, where another failure says why it left."""
    return [f for f in failures if not _PEER_LEFT.search(f.message)] or failures


def _infra(reason: str) -> tuple[Failure, ...]:
    signature = reason.partition("\n")[0].partition(":")[0]
    return (Failure(Kind.INFRASTRUCTURE, Phase.SETUP, signature, reason),)
