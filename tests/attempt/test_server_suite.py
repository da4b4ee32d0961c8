"""A suite that starts a real server for its class: what an attempt makes of each way it can go."""

import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.attempt.ports import BLOCK, FIRST, PortBlock, fill_in
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.core.fold import fold
from harness.core.kinds import Kind, Phase
from harness.core.result import AttemptResult, Ending, Outcome

FOLDER = Path(__file__).parents[1] / "outcomes/server"

Run = Callable[..., AttemptRecord]
Serve = Callable[[str], AttemptResult]


@pytest.fixture
def serve(run: Run) -> Serve:
    def make(mode: str) -> AttemptResult:
        env = {"MODE": mode, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        record = run("serves.py", cwd=FOLDER, env=env, device="cuda")
        exits = tuple((end.rank, end.code, end.signal) for end in record.exits)
        left = tuple(record.orphans)
        return fold(record.events, Ending(exits, left_behind=left, words=record.words))

    return make


def test_streams_and_aborts_pass_and_nothing_is_left(serve: Serve) -> None:
    result = serve("plain")
    assert [test.outcome for test in result.tests] == [Outcome.PASSED] * 3
    assert not any("left behind" in note for note in result.notes)


@pytest.mark.parametrize(("mode", "left"), [("leaks", "sleep"), ("left", "python")])
def test_a_server_or_helper_that_the_suite_leaves_is_reaped_and_said(
    serve: Serve, mode: str, left: str
) -> None:
    result = serve(mode)
    assert result.failure is None
    assert any(f"left behind and reaped: {left}" in note for note in result.notes)


def test_a_crash_in_the_servers_child_is_named_by_what_the_child_said(serve: Serve) -> None:
    result = serve("dies")
    failed = [test.id.rpartition("::")[2] for test in result.tests if test.failure]
    assert failed == ["test_worker_stays_alive"]
    assert result.failure is not None and result.failure.kind is Kind.OUT_OF_MEMORY
    assert "CUDA: out of memory" in result.failure.message


def test_a_server_that_never_answers_is_one_set_up_failure_with_a_name(serve: Serve) -> None:
    result = serve("mute")
    (failure,) = result.failures
    assert (failure.kind, failure.phase) == (Kind.SETUP_ERROR, Phase.SETUP)
    assert "sglang: server did not start" in failure.message
    assert {test.outcome for test in result.tests} == {Outcome.PRECLUDED}


def test_attempts_side_by_side_have_ports_of_their_own() -> None:
    with closing(PortBlock(7)) as one, closing(PortBlock(7)) as other:
        assert one.first is not None and other.first is not None
        assert abs(one.first - other.first) >= BLOCK
        assert one.make_environment()["HARNESS_PORTS"] == f"{one.first}-{one.first + BLOCK - 1}"
    with closing(PortBlock(7)) as again:
        assert again.first == one.first


def test_a_port_that_somebody_else_has_is_skipped() -> None:
    with closing(PortBlock(11)) as block:
        first = block.first
    assert first is not None and first >= FIRST
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first + 3))
        with closing(PortBlock(11)) as other:
            assert other.first != first


def test_ports_and_seed_are_filled_in_where_they_are_asked_for(
    make_spec: Callable[..., AttemptSpec],
) -> None:
    spec = make_spec("run {port}", kind="command", arguments=("--seed={seed}",), seed=5)
    with closing(PortBlock(5)) as ports:
        filled = fill_in(spec, ports)
        assert filled.nodeids == (f"run {ports.first}",)
    assert filled.arguments == ("--seed=5",)
    assert fill_in(make_spec("t.py::test[{port}]"), ports).nodeids == ("t.py::test[{port}]",)
