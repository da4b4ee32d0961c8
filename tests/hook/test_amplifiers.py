"""Amplifiers of recorded graphs: they make faults fire, and leave sound code alone."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.core.amplifiers import AMPLIFIERS as NAMES
from harness.core.amplifiers import check_amplifiers, join_amplifiers, list_parts
from harness.core.errors import UsageError
from harness.engine.capture.graph import Graph, Outputs
from harness.engine.capture.recorded import RecordedMemory
from harness.hook import recorded as wrapping
from harness.hook.amplify.cuda_memory import MOST_BYTES, list_free_blocks
from harness.hook.amplify.recorded_memory import subtract
from harness.hook.amplify.timing import Align
from harness.hook.audit.spans import Span
from harness.hook.parts.amplify import AMPLIFIERS, make_part

MIB = 1 << 20


class Amplified:
    """Recorded graphs with amplifiers around their replays, and the lines that were written."""

    def __init__(self, names: str) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        channel = SimpleNamespace(emit=lambda name, **keys: self.lines.append((name, keys)))
        self.part = make_part(names, channel)  # type: ignore[arg-type]

        class Memory(RecordedMemory):
            pass

        module = SimpleNamespace(RecordedMemory=Memory, RecordedGraph=SimpleNamespace(replay=None))
        wrapping.wrap_module(
            module,  # type: ignore[arg-type]
            lambda method: [getattr(self.part, method)] if "capture" in method else [],
        )
        self.memory = Memory(64 * MIB)

    def capture(self, function: Callable[[], Outputs]) -> Graph:
        return self.memory.capture(function)

    def replay(self, graph: Graph) -> None:
        capture = graph._harness_capture  # type: ignore[attr-defined]
        self.part.before_replay(capture)
        graph.replay()
        capture.replays += 1
        self.part.after_replay(capture)


def test_poison_makes_a_dropped_input_fail_every_time() -> None:
    amplified = Amplified("poison")
    values = [torch.ones(4)]
    graph = amplified.capture(lambda: {"sum": values[0] + 1})
    amplified.replay(graph)
    assert graph.outputs["sum"].tolist() == [2.0] * 4
    values.clear()
    amplified.replay(graph)
    assert graph.outputs["sum"].isnan().all()


def test_poison_makes_a_dropped_block_of_the_arena_fail() -> None:
    amplified = Amplified("poison")
    values = [amplified.memory.arena.place(torch.ones(4), "default").fill_(1.0)]
    graph = amplified.capture(lambda: {"sum": values[0] + 1})
    values.clear()
    amplified.replay(graph)
    assert graph.outputs["sum"].isnan().all()


def test_poison_shows_who_reads_what_was_never_written() -> None:
    amplified = Amplified("poison")
    graph = amplified.capture(lambda: {"sum": torch.empty(1000).sum()})
    amplified.replay(graph)
    assert graph.outputs["sum"].isnan()


@pytest.mark.parametrize("names", ["poison", "canary", "poison+canary+jitter+align"])
def test_sound_graphs_stay_sound_and_the_allocator_as_it_was(names: str) -> None:
    amplified = Amplified(names)
    values = torch.arange(1000.0)

    def step() -> Outputs:
        scratch = (values * 2).relu()
        return {"sum": scratch.sum(), "kept": scratch + 1}

    first = amplified.capture(step)
    second = amplified.capture(lambda: {"again": first.outputs["kept"] * 2})
    first.outputs.pop("kept")
    amplified.memory.arena.collect()
    before = amplified.memory.arena.blocks.free_blocks()
    for turn in range(3):
        values.fill_(float(turn))
        amplified.replay(first)
        amplified.replay(second)
        assert first.outputs["sum"] == 2000 * turn
        assert second.outputs["again"].eq(4 * turn + 2).all()
    assert amplified.memory.arena.blocks.free_blocks() == before
    assert amplified.lines == []


def test_a_canary_reports_a_write_into_free_memory() -> None:
    amplified = Amplified("canary")
    arena = amplified.memory.arena
    dropped = arena.place(torch.ones(16), "default")
    stray = arena.twin(dropped)
    values = torch.ones(4)
    graph = amplified.capture(lambda: {"sum": values + 1})
    del dropped
    amplified.part.before_replay(graph._harness_capture)  # type: ignore[attr-defined]
    stray[3] = 7.0
    amplified.part.after_replay(graph._harness_capture)  # type: ignore[attr-defined]
    [(name, keys)] = amplified.lines
    assert (name, keys["fault"], keys["address"]) == ("audit", "stray-write", stray[3].data_ptr())


def test_what_does_nothing_to_recorded_graphs_is_said() -> None:
    amplified = Amplified("delay+compete")
    amplified.capture(lambda: {"one": torch.ones(4)})
    assert [name for name, _ in amplified.lines] == ["note", "note"]


def test_threads_that_replay_are_aligned_and_one_alone_is_not_held_up() -> None:
    align, begun = Align(), []

    def replay(delay: float) -> None:
        for _ in range(3):
            time.sleep(delay)
            align.before_replay(None)  # type: ignore[arg-type]
            begun.append(time.monotonic())

    threads = [threading.Thread(target=replay, args=(delay,)) for delay in (0.0, 0.002)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(begun) == 6
    start = time.monotonic()
    Align().before_replay(None)  # type: ignore[arg-type]
    assert time.monotonic() - start < 0.5


def test_every_amplifier_that_can_be_named_exists() -> None:
    assert set(NAMES) == set(AMPLIFIERS)
    assert join_amplifiers(["poison", "delay", "poison"]) == "poison+delay"
    assert list_parts("poison+delay") == ("amplify:poison+delay",)
    assert list_parts("none") == list_parts(None) == ()
    check_amplifiers("none")
    with pytest.raises(UsageError, match="noise"):
        check_amplifiers("poison+noise")


def test_free_blocks_are_taken_as_their_allocator_would_give_them() -> None:
    def make_segment(kind: str, pool: tuple[int, int], *sizes: int, used: bool = False) -> Any:
        state = "active_allocated" if used else "inactive"
        blocks = [{"size": size, "state": state} for size in sizes]
        return {"segment_pool_id": pool, "segment_type": kind, "stream": 7, "blocks": blocks}

    taken = list_free_blocks(
        [
            make_segment("small", (0, 0), 512, 2 * MIB),
            make_segment("large", (0, 0), MIB, 3 * MIB),
            make_segment("large", (0, 0), 5 * MIB, used=True),
            make_segment("large", (0, 1), 4 * MIB),
            make_segment("large", (0, 0), MOST_BYTES),
        ]
    )
    assert taken == {7: [512, MIB, MIB, 3 * MIB]}


def test_what_is_left_of_a_span_meets_no_other() -> None:
    others = [Span(2, 4), Span(3, 5), Span(9, 30)]
    assert list(subtract(Span(0, 10), others)) == [Span(0, 2), Span(5, 9)]
    assert list(subtract(Span(3, 4), others)) == []
