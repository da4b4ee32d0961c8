"""What the hook's events of an attempt come to: order, memory, and what is noted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.fold import fold
from harness.core.observed import UNKNOWN_ORDER, name_sizes
from harness.core.progress_lines import ProgressLine, find_progress
from harness.core.result import AttemptResult, Ending

SGLANG_LOG = """
Capturing batches (bs=4 avail_mem=40.11 GB):   0%|          | 0/3\r\
Capturing batches (bs=4 avail_mem=40.11 GB):  33%|###       | 1/3\r\
Capturing batches (bs=2 avail_mem=40.02 GB):  33%|###       | 1/3\r\
Capturing batches (bs=1 avail_mem=39.99 GB): 100%|##########| 3/3
Capturing num tokens (num_tokens=512 avail_mem=39.9 GB):   0%| | 0/2\r\
Capturing num tokens (num_tokens=256 avail_mem=39.9 GB): 100%| | 2/2
"""


def capture(bs: int | None, role: str = "Runner", pid: int = 7, **more: Any) -> dict[str, Any]:
    common = {"event": "hook_capture", "pid": pid, "role": role, "bs": bs, "graphs": "cuda"}
    return {**common, "bytes": 100, "peak": 10, "seconds": 0.5, "t": 1.0, **more}


def observe(*events: dict[str, Any]) -> AttemptResult:
    finish = {"event": "finish", "exitstatus": 0}
    return fold([(0, event) for event in (*events, finish)], Ending(exits=((0, 0, None),)))


def ask(*parts: str) -> dict[str, Any]:
    return {"event": "hook_parts", "parts": [*parts]}


@pytest.mark.parametrize(
    ("sizes", "name"),
    [
        ([1, 2, 4], "ascending"),
        ([4, 4, 4, 2, 2], "descending"),
        ([1, 4, 2], "mixed"),
        ([3], "single"),
        ([3, 3], "single"),
        ([None, None], UNKNOWN_ORDER),
    ],
)
def test_the_order_of_one_runner(sizes: list[int | None], name: str) -> None:
    assert name_sizes([capture(size) for size in sizes]) == name


def test_each_runner_is_a_sequence_of_its_own() -> None:
    runners = [capture(n, "Target") for n in (4, 2, 1)] + [capture(n, "Draft") for n in (8, 4)]
    assert name_sizes(runners) == "descending"
    assert name_sizes([*runners, capture(5, "Single")]) == "descending"
    assert name_sizes([*runners, capture(1, "Up"), capture(2, "Up")]) == "mixed"


def test_processes_are_measured_apart() -> None:
    one = [capture(n, pid=1) for n in (1, 2, 4)]
    other = [capture(n, pid=2, bytes=50) for n in (1, 2)]
    seen = observe(*one, *other).capture
    assert (seen.observed, seen.pool_bytes, seen.seconds) == ("ascending", 300, 1.5)
    assert [step["pool_bytes"] for step in seen.trace if step["pid"] == 1] == [100, 200, 300]


def test_a_capture_that_failed_is_none() -> None:
    assert observe(capture(4, error="RuntimeError: no")).capture.graphs == ""


def test_captures_that_the_engine_reports_itself_come_first() -> None:
    own = {"event": "capture", "role": "decode", "bs": 2, "position": 0}
    seen = observe(own, capture(1), capture(2)).capture
    assert [one["bs"] for one in seen.trace] == [2]


def test_an_order_that_was_asked_for_while_nothing_was_captured_is_noted() -> None:
    result = observe(ask("report", "order:ascending"))
    assert result.capture.requested == "ascending" and len(result.notes) == 1


def test_an_overlay_that_patched_nothing_is_noted_and_one_that_did_is_not() -> None:
    turned = {"event": "hook_order", "order": "ascending"}
    parts, sizes = ask("vllm-order:ascending"), [capture(1), capture(2)]
    assert len(observe(parts, *sizes).notes) == 1
    assert observe(parts, turned, *sizes).notes == ()


def test_what_an_engine_printed_is_the_second_source() -> None:
    steps = find_progress(SGLANG_LOG)
    assert steps[:3] == [ProgressLine("batches", size) for size in (4, 2, 1)]
    printed = [{"event": "hook_progress", "role": s.role, "bs": s.bs} for s in steps]
    seen = observe(*printed)
    assert (seen.capture.observed, seen.capture.graphs) == ("descending", "cuda")
    assert len(seen.notes) == 1
    # What was observed counts, whatever was printed.
    assert observe(*printed, capture(1), capture(2)).capture.observed == "ascending"


def test_a_bar_without_sizes_says_that_graphs_were_captured_in_an_unknown_order() -> None:
    steps = find_progress("Capturing CUDA graphs (decode, FULL):  50%|#####     | 1/2")
    printed = [{"event": "hook_progress", "role": s.role, "bs": s.bs} for s in steps]
    assert observe(*printed).capture.observed == UNKNOWN_ORDER


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"event": st.sampled_from(["hook_capture", "hook_parts", "hook_order", "hook_x"])},
            optional=dict.fromkeys(("pid", "bs", "role", "bytes", "t", "parts", "peak"), JSON),
        ),
        max_size=6,
    )
)
def test_whatever_a_process_writes_is_measured(events: list[dict[str, Any]]) -> None:
    observe(*events)


@given(st.text())
def test_any_log_is_searched(text: str) -> None:
    find_progress(text)
