"""What a log shows of a run that goes on: whole lines, with what failed so far."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from harness.core.kinds import Kind
from harness.driver import progress
from harness.driver.progress import Progress


def ended(kind: Kind | None = None) -> SimpleNamespace:
    failure = SimpleNamespace(kind=kind, signature="it hung") if kind else None
    return SimpleNamespace(failure=failure)


@pytest.fixture
def log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[pytest.CaptureFixture[str]]:
    """A stderr that is no terminal, and no wait between lines."""
    monkeypatch.setattr(progress, "LOG_EVERY_S", 0.0)
    assert not sys.stderr.isatty()
    yield capsys


def test_a_log_gets_lines_with_counts_and_kinds(log: pytest.CaptureFixture[str]) -> None:
    bar = Progress(4, 0, verbose=False)
    for kind in (Kind.HANG, None, Kind.HANG):
        bar.end_attempt("a.0", ended(kind))  # type: ignore[arg-type]
    bar.say("cpu:1 is quarantined")
    bar.close()
    told = log.readouterr().err
    assert "\r" not in told
    assert told.endswith("\n")
    lines = told.splitlines()
    assert "0/4" in lines[0]
    assert "cpu:1 is quarantined" in lines
    assert "3/4" in lines[-1]
    assert "hang 2" in lines[-1]
    assert all(line == line.strip() for line in lines)


def test_between_lines_of_a_log_time_passes(
    log: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOG_EVERY_S", 3600.0)
    bar = Progress(500, 0, verbose=False)
    for _ in range(500):
        bar.end_attempt("a.0", ended())  # type: ignore[arg-type]
    bar.close()
    lines = log.readouterr().err.splitlines()
    assert [line.split("%")[1].split()[0] for line in lines] == ["0/500", "500/500"]
