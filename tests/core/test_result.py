"""Folding events into outcomes: the rules that a last report alone gets wrong."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.events import parse_line
from harness.core.fold import fold
from harness.core.kinds import Kind, Phase
from harness.core.result import AttemptResult, Ending, Outcome

A, B = "s.py::T::test_a", "s.py::T::test_b"
CLEAN = Ending(exits=((0, 0, None),))


def left_with(code: int) -> Ending:
    """Rank 0 ended by itself, with this exit code."""
    return Ending(exits=((0, code, None),))


def event(name: str, /, **keys: Any) -> tuple[int, dict[str, Any]]:
    return 0, {"event": name, **keys}


def report(
    test: str,
    outcome: str = "passed",
    when: str = "call",
    *,
    subtest: str | None = None,
    class_setup: bool = False,
    error: str = "AssertionError",
) -> tuple[int, dict[str, Any]]:
    bad = outcome in ("failed", "rerun")
    exc = {"types": [f"builtins.{error}"], "message": "it broke", "frames": []} if bad else None
    return event(
        "report", id=test, when=when, outcome=outcome, seconds=0.1, exc=exc,
        subtest=subtest, class_setup=class_setup,
    )  # fmt: skip


def ran(test: str, *reports: tuple[int, dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    return [event("test_start", id=test), *reports, event("test_end", id=test)]


def folded(*parts: Any, ending: Ending = CLEAN, finished: bool = True) -> AttemptResult:
    events = [event("collected", tests=[A, B])]
    for part in parts:
        events += part if isinstance(part, list) else [part]
    if finished:
        events.append(event("finish", exitstatus=0, inside_seconds=1.5))
    return fold(events, ending)


def outcomes(result: AttemptResult) -> dict[str, Outcome]:
    return {test.id: test.outcome for test in result.tests}


def test_an_attempt_whose_tests_all_pass_has_passed() -> None:
    result = folded(ran(A, report(A)), ran(B, report(B)))
    assert result.status == "passed"
    assert outcomes(result) == {A: Outcome.PASSED, B: Outcome.PASSED}
    assert result.inside_seconds == 1.5


def test_a_failing_subtest_fails_its_test_though_the_test_says_passed() -> None:
    result = folded(ran(A, report(A, "failed", subtest="i=3"), report(A)), ran(B, report(B)))
    assert outcomes(result) == {A: Outcome.FAILED, B: Outcome.PASSED}


@pytest.mark.parametrize("when", ["setup", "call", "teardown"])
def test_a_rerun_in_any_phase_is_a_failure_that_recovered(when: str) -> None:
    result = folded(ran(A, report(A, "rerun", when), report(A)), ran(B, report(B)))
    assert result.status == "failed"
    test = result.tests[0]
    assert (test.outcome, test.reran, test.recovered) == (Outcome.FAILED, True, True)


def test_a_rerun_that_fails_again_did_not_recover() -> None:
    result = folded(ran(A, report(A, "rerun"), report(A, "failed")), ran(B, report(B)))
    assert (result.tests[0].reran, result.tests[0].recovered) == (True, False)


def test_a_failed_set_up_of_the_class_is_one_failure_and_precludes_its_tests() -> None:
    broken = [
        ran(t, report(t, "failed", "setup", class_setup=True, error="ValueError")) for t in (A, B)
    ]
    result = folded(*broken)
    assert [f.kind for f in result.failures] == [Kind.SETUP_ERROR]
    assert set(outcomes(result).values()) == {Outcome.PRECLUDED}


def test_a_crash_is_charged_to_the_test_that_was_running() -> None:
    died = Ending(exits=((0, None, "SIGSEGV"),))
    result = folded(ran(A, report(A)), event("test_start", id=B), ending=died, finished=False)
    assert outcomes(result) == {A: Outcome.PASSED, B: Outcome.FAILED}
    failure = result.failure
    assert failure and (failure.kind, failure.test) == (Kind.SIGNAL, B)


def test_tests_behind_a_crash_are_precluded() -> None:
    died = Ending(exits=((0, None, "SIGSEGV"),))
    result = folded(event("test_start", id=A), ending=died, finished=False)
    assert outcomes(result) == {A: Outcome.FAILED, B: Outcome.PRECLUDED}


def test_leaving_with_status_zero_but_no_finish_is_an_early_exit() -> None:
    result = folded(event("test_start", id=A), finished=False)
    assert result.status == "failed"
    assert result.failure and result.failure.kind is Kind.EARLY_EXIT


def test_a_timeout_is_a_hang_of_the_test_that_was_running() -> None:
    slow = Ending(exits=((0, None, "SIGKILL"),), timed_out=True, timeout_s=5)
    result = folded(event("test_start", id=A), ending=slow, finished=False)
    assert result.failure and result.failure.kind is Kind.HANG
    assert "5 s" in result.failure.message


def test_a_followers_death_is_named_with_its_rank_and_last_capture() -> None:
    capture = (1, {"event": "capture", "role": "verify", "bs": 4, "position": 1})
    died = Ending(exits=((1, None, "SIGKILL"), (0, 1, None)))
    result = folded(event("test_start", id=A), capture, ending=died, finished=False)
    assert result.failure and result.failure.kind is Kind.SIGNAL
    assert "rank 1 ended by SIGKILL after capturing verify bs 4" in result.failure.message


def follower_error(name: str, message: str) -> tuple[int, dict[str, Any]]:
    exc = {"types": [f"builtins.{name}"], "message": message, "frames": []}
    return 1, {"event": "follower_error", "exc": exc}


def test_a_followers_own_exception_names_the_kind_and_its_rank() -> None:
    capture = (1, {"event": "capture", "role": "verify", "bs": 4, "position": 1})
    died = Ending(exits=((1, 1, None), (0, None, "SIGKILL")))
    out_of_memory = follower_error("RuntimeError", "CUDA out of memory. Tried to allocate")
    result = folded(event("test_start", id=A), capture, out_of_memory, ending=died, finished=False)
    assert result.failure and result.failure.kind is Kind.OUT_OF_MEMORY
    assert result.failure.signature.endswith("on rank 1")
    assert result.failure.message.startswith("rank 1 after capturing verify bs 4: CUDA out of")


def test_a_rank_whose_peer_left_is_no_cause_where_another_failure_says_why() -> None:
    closed = follower_error("RuntimeError", "Connection closed by peer [127.0.0.1]:4711")
    died = Ending(exits=((1, 1, None), (0, 1, None)))
    parts = [event("test_start", id=A), report(A, "failed", "call", error="AssertionError")]
    result = folded(*parts, event("test_end", id=A), closed, ending=died)
    assert result.failure and result.failure.kind is Kind.ASSERTION
    alone = folded(event("test_start", id=A), closed, ending=died, finished=False)
    assert alone.failure and alone.failure.kind is Kind.COLLECTIVE_TIMEOUT


def test_collecting_nothing_is_no_tests() -> None:
    events = [event("collected", tests=[]), event("finish", exitstatus=5, inside_seconds=0.1)]
    result = fold(events, left_with(5))
    assert result.failure and result.failure.kind is Kind.NO_TESTS


def test_a_collection_error_is_one_setup_error() -> None:
    exc = {"types": ["builtins.SyntaxError"], "message": "bad", "frames": []}
    events = [event("collect_error", id="s.py", exc=exc), event("finish", exitstatus=2)]
    result = fold(events, left_with(2))
    assert [f.kind for f in result.failures] == [Kind.SETUP_ERROR]


def test_infrastructure_is_no_failure_of_the_suite() -> None:
    result = fold([], Ending((), infrastructure="device not clean: GPU-1: 300 MiB"))
    assert result.status == "infra"
    assert result.failure and result.failure.kind is Kind.INFRASTRUCTURE


def test_a_failure_during_capture_has_that_phase() -> None:
    parts = [event("phase", name="capture"), report(A, "failed", "setup", error="RuntimeError")]
    result = folded(event("test_start", id=A), *parts, event("test_end", id=A), ran(B, report(B)))
    assert result.failure and result.failure.phase is Phase.CAPTURE


def captured(role: str, sizes: list[int]) -> list[tuple[int, dict[str, Any]]]:
    return [
        event("capture", role=role, bs=bs, position=i, pool_bytes=10) for i, bs in enumerate(sizes)
    ]


def test_the_observed_order_is_that_of_every_role() -> None:
    both = [*captured("verify", [4, 2, 1]), *captured("draft", [4, 2, 1])]
    assert folded(both, ran(A, report(A))).capture.observed == "descending"
    torn = [*captured("verify", [4, 2, 1]), *captured("draft", [1, 2, 4])]
    assert folded(torn, ran(A, report(A))).capture.observed == "mixed"


def test_of_several_engines_the_largest_counts_and_all_of_their_time() -> None:
    engines = [
        event("captured", pool_bytes=pool, peak_bytes=peak, seconds=1.5)
        for pool, peak in ((20, 7), (30, 5), (2, 1))
    ]
    capture = folded(*engines, ran(A, report(A))).capture
    assert (capture.pool_bytes, capture.peak_bytes, capture.seconds) == (30, 7, 4.5)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
EVENTS = st.dictionaries(
    st.sampled_from(["id", "when", "outcome", "exc", "tests", "counts", "bs", "role", "name"]),
    JSON | st.sampled_from(["failed", "rerun", "call", A]),
)
NAMES = st.sampled_from(
    ["report", "collected", "collect_error", "test_start", "test_end", "phase", "capture",
     "captured", "capture_plan", "replays", "note", "finish", "hello", "result", "__init__",
     "follower_error"]
)  # fmt: skip


# No deadline: on a loaded machine an example may take longer than hypothesis allows.
@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), NAMES, EVENTS), max_size=12))
def test_hostile_events_never_raise(stream: list[tuple[int, str, dict[str, Any]]]) -> None:
    events = [(rank, {**keys, "event": name}) for rank, name, keys in stream]
    assert fold(events, CLEAN).status in ("passed", "failed")


@given(st.binary(max_size=200))
def test_hostile_lines_never_raise(line: bytes) -> None:
    assert parse_line(line) is None or isinstance(parse_line(line), dict)


def test_a_deeply_nested_line_is_garbled() -> None:
    assert parse_line(b"[" * 100_000) is None
    assert parse_line(b'{"event": "x", "a": ' + b"[" * 100_000) is None


def test_an_event_survives_its_line() -> None:
    assert parse_line(json.dumps({"event": "hello", "v": 1}).encode()) == {"event": "hello", "v": 1}


def test_a_test_that_ends_the_session_has_failed_though_pytest_says_zero() -> None:
    result = folded(ran(A, report(A)), event("test_start", id=B), report(B, when="setup"))
    assert outcomes(result) == {A: Outcome.PASSED, B: Outcome.FAILED}
    assert result.failure and result.failure.kind is Kind.EARLY_EXIT


def test_what_ended_the_session_is_named() -> None:
    exc = {"types": ["builtins.KeyboardInterrupt", "builtins.BaseException"], "message": ""}
    result = folded(event("test_start", id=A), event("session_end", exc=exc))
    assert result.failure and result.failure.signature.startswith("session ended by Keyboard")
    assert result.failure.message.startswith("KeyboardInterrupt ended the session in ")


@pytest.mark.parametrize("status", [1, 2, 3])
def test_a_session_that_gave_up_has_failed(status: int) -> None:
    events = [event("collected", tests=[A]), *ran(A, report(A))]
    result = fold([*events, event("finish", exitstatus=status)], left_with(status))
    assert result.failure and result.failure.kind is Kind.ERROR


@pytest.mark.parametrize("code", [1, 3, 42])
def test_a_rank_that_left_otherwise_than_it_said_has_failed(code: int) -> None:
    events = [event("collected", tests=[A]), *ran(A, report(A)), event("finish", exitstatus=0)]
    result = fold(events, left_with(code))
    assert result.failure and result.failure.kind is Kind.EARLY_EXIT
    assert f"exit {code}" in result.failure.message


def test_a_crash_in_a_tests_call_falls_in_the_run_and_not_in_its_set_up() -> None:
    died = Ending(exits=((0, None, "SIGSEGV"),))
    started = [event("test_start", id=A), report(A, when="setup")]
    assert folded(started, ending=died, finished=False).failures[0].phase is Phase.RUN
    called = [*started, report(A, when="call")]
    assert folded(called, ending=died, finished=False).failures[0].phase is Phase.TEARDOWN
    early = [event("test_start", id=A)]
    assert folded(early, ending=died, finished=False).failures[0].phase is Phase.SETUP
