"""A kind that an older version got wrong is right when the run is read again, and it is said."""

import json
from pathlib import Path

import pytest

from harness.core.capture_measurement import CaptureMeasurement
from harness.core.kind_correction import correct_kind, read_scope
from harness.core.kinds import Kind, KindScope, Phase
from harness.core.records import AttemptIdentity, Lease, RunRecord
from harness.core.result import AttemptResult, Failure, Outcome, TestResult
from harness.core.statuses import AttemptStatus
from harness.store.open import open_store

REAL = json.loads((Path(__file__).parents[1] / "data" / "cuda_errors.json").read_text())["errors"]
OFF_CUDA = KindScope(graphs=False)
ON_CUDA = KindScope(graphs=True, collectives=False)


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        ("launch_failure", Kind.CUDA_ERROR),
        ("misaligned_address", Kind.CUDA_ERROR),
        ("illegal_address", Kind.ILLEGAL_ACCESS),
        ("out_of_memory_in_cuda_malloc", Kind.OUT_OF_MEMORY),
        ("out_of_memory_pinned", Kind.OUT_OF_MEMORY),
        ("device_assert", Kind.DEVICE_ASSERT),
    ],
)
def test_a_cuda_error_that_was_called_a_device_assert_is_named_by_its_own_line(
    case: str, kind: Kind
) -> None:
    message = REAL[case]["message"]
    signature = f"AcceleratorError: {message.splitlines()[0]} @ step"
    assert correct_kind("device-assert", "run", signature, message, ON_CUDA) == kind


@pytest.mark.parametrize(
    ("kind", "message", "scope"),
    [
        ("signal", "CUDA error: out of memory", ON_CUDA),
        ("out-of-memory", "rank 0 ended by SIGKILL; the kernel killed a process", ON_CUDA),
        ("device-assert", "", ON_CUDA),
        ("collective-timeout", "something that only its type told", KindScope()),
        ("capture-error", "item() in capture", ON_CUDA),
    ],
)
def test_a_kind_that_its_words_do_not_contradict_stays(
    kind: str, message: str, scope: KindScope
) -> None:
    assert correct_kind(kind, "run", "X: y", message, scope) == kind


@pytest.mark.parametrize(
    ("signature", "scope", "kind"),
    [
        ("watchdog: CUDA error: device-side assert (SIGABRT @ t)", ON_CUDA, Kind.DEVICE_ASSERT),
        ("watchdog: CUDA error: device-side assert (SIGABRT @ t)", OFF_CUDA, Kind.SIGNAL),
        ("watchdog: CUDA error: device-side assert (SIGKILL @ t)", ON_CUDA, Kind.SIGNAL),
        ("SIGABRT in abort @ t", ON_CUDA, Kind.SIGNAL),
    ],
)
def test_an_abort_over_an_error_of_cuda_was_stored_as_a_signal(
    signature: str, scope: KindScope, kind: Kind
) -> None:
    message = "rank 0 ended by SIGABRT\nCUDA error: device-side assert triggered"
    assert correct_kind("signal", "run", signature, message, scope) == kind


def test_a_kind_that_such_an_attempt_cannot_have_is_corrected() -> None:
    scope = read_scope('{"tp": 1}', ["cpu:0"], "")
    words = "run", "ConnectionError: Connection reset by peer @ get", "Connection reset by peer"
    assert correct_kind("collective-timeout", *words, scope) == Kind.ERROR
    assert read_scope('{"tp": 2}', ["GPU-1"], "") == KindScope(graphs=True, collectives=True)


def test_a_stored_run_is_read_with_its_kinds_corrected(tmp_path: Path) -> None:
    message = REAL["launch_failure"]["message"]
    failure = Failure(Kind.DEVICE_ASSERT, Phase.RUN, "AcceleratorError: x @ f", message, "t::a")
    result = AttemptResult(
        AttemptStatus.FAILED,
        (TestResult("t::a", Outcome.FAILED, 0.1, failure), TestResult("t::b", Outcome.PASSED)),
        (failure,), CaptureMeasurement(), 0.0, {}, 0, (),
    )  # fmt: skip
    lease = Lease(("GPU-1",), "n", "z", "fork", 1.0, 1.0, "f")
    with open_store(str(tmp_path / "s.sqlite"), write=True) as store:
        store.add_run(RunRecord("r", 1.0, 1, "cuda", {}, {}, {}))
        for n in range(2):
            identity = AttemptIdentity(f"r.{n}", "r", n, 0, "t", '{"tp":1}', n, 1)
            store.add_attempt(identity, result, lease)
        rows, counts = store.attempts("r"), store.test_counts("r")
        outcomes = list(store.test_outcomes("r"))
    assert {row.kind for row in rows} == {"cuda-error"}
    assert all("stored as device-assert" in row.notes[-1] for row in rows)
    found = {(count.test, count.kind, count.n) for count in counts}
    assert found == {("t::a", "cuda-error", 2), ("t::b", None, 2)}
    assert [one.kind for one in outcomes] == ["cuda-error", None] * 2
