"""The audit of recorded graphs: faults are named before a replay, sound code gives no finding."""

import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from harness.engine.capture.graph import Graph, Outputs
from harness.engine.capture.recorded import RecordedMemory
from harness.hook import recorded as wrapping
from harness.hook.audit.findings import Fault, Finding
from harness.hook.audit.model import Ownership
from harness.hook.audit.recorded_graphs import RecordedAudit
from harness.hook.cuda import wrap_replay

MIB = 1 << 20
NAMES = {"on_memory": "note_memory"}


class AuditedMemory:
    """Recorded graphs of one pool or several, audited as the hook does it."""

    def __init__(self) -> None:
        self.found: list[Finding] = []
        audit = RecordedAudit(self.found.append)

        class Memory(RecordedMemory):
            pass

        module = SimpleNamespace(RecordedMemory=Memory, RecordedGraph=SimpleNamespace(replay=None))
        wrapping.wrap_module(
            module,  # type: ignore[arg-type]
            lambda method: (
                [getattr(audit, NAMES.get(method, method))]
                if "capture" in method or method in NAMES
                else []
            ),
        )
        self.audit = audit
        self.memory = Memory(64 * MIB)

    def capture(self, function: Callable[[], Outputs], pool: str = "shared") -> Graph:
        return self.memory.capture(function, pool)

    def replay(self, graph: Graph) -> None:
        capture = graph._harness_capture  # type: ignore[attr-defined]
        self.audit.before_replay(capture)
        graph.replay()
        capture.replays += 1
        self.audit.after_replay(capture)


@pytest.fixture
def audited() -> AuditedMemory:
    return AuditedMemory()


def test_an_input_that_its_owner_dropped_dangles(audited: AuditedMemory) -> None:
    values = torch.ones(4)
    graph = audited.capture(lambda: {"sum": values + 1})
    audited.replay(graph)
    assert audited.found == []
    values = torch.ones(4)
    audited.replay(graph)
    [found] = audited.found
    assert (found.fault, found.ownership) == (Fault.DANGLING, Ownership.FREED)
    assert (found.kernel, found.parameter, found.what) == ("aten.add.Tensor", "self", "float32 [4]")


def test_who_allocated_is_named_though_it_was_before_the_first_capture(
    audited: AuditedMemory,
) -> None:
    held = [audited.memory.arena.place(torch.ones(4), "default")]
    graph = audited.capture(lambda: {"sum": held[0] + 1})
    held.clear()
    audited.replay(graph)
    [found] = audited.found
    assert "test_audit_recorded.py" in found.allocated[0]
    assert "test_audit_recorded.py" in found.freed[0]


def test_a_finding_is_reported_once(audited: AuditedMemory) -> None:
    values = [torch.ones(4)]
    graph = audited.capture(lambda: {"sum": values[0] + 1})
    values.clear()
    audited.replay(graph)
    audited.replay(graph)
    assert len(audited.found) == 1


def test_an_input_that_two_graphs_hold_dangles_in_both(audited: AuditedMemory) -> None:
    values = [torch.ones(4)]
    graphs = [audited.capture(lambda: {"sum": values[0] * values[0]}) for _ in range(2)]
    values.clear()
    for graph in graphs:
        audited.replay(graph)
    assert len(audited.found) == 2


def test_a_workspace_of_the_pool_that_moved_names_who_writes_there(audited: AuditedMemory) -> None:
    values = torch.ones(1000)
    workspace: list[Tensor] = []

    def step() -> Outputs:
        workspace[:] = [torch.empty(1000)]
        return {"scaled": values * workspace[0]}

    one = audited.capture(step)
    two = audited.capture(step)
    three = audited.capture(lambda: {"kept": values + 1})
    audited.replay(two)
    audited.replay(three)
    assert audited.found == []
    audited.replay(one)
    [found] = audited.found
    assert (found.fault, found.ownership) == (Fault.DANGLING, Ownership.REALLOCATED)
    assert (found.kernel, found.parameter) == ("aten.mul.Tensor", "other")
    assert [text.rpartition(" ")[2] for text in found.writers] == ["aten.mul.Tensor"]
    assert "step" in found.allocated[0]
    assert any("step" in frame for frame in found.freed)


def test_memory_outside_the_graphs_pools_must_live_whoever_fills_it(audited: AuditedMemory) -> None:
    buffer = [audited.memory.arena.place(torch.zeros(8), "default")]
    graph = audited.capture(lambda: {"sum": buffer[0].add_(1).sum()})
    audited.replay(graph)
    assert audited.found == []
    buffer.clear()
    audited.memory.arena.collect()
    audited.replay(graph)
    assert [found.pool for found in audited.found] == ["default"]


def test_values_handed_from_graph_to_graph_may_be_dropped(audited: AuditedMemory) -> None:
    values = torch.ones(1000)
    first = audited.capture(lambda: {"first": values + 1})
    second = audited.capture(lambda: {"second": first.outputs["first"] * 2})
    first.outputs.clear()
    audited.replay(first)
    audited.replay(second)
    assert audited.found == []


def test_handed_values_that_a_third_graph_wrote_over_are_found(audited: AuditedMemory) -> None:
    values = torch.ones(1000)
    first = audited.capture(lambda: {"first": values + 1})
    second = audited.capture(lambda: {"second": first.outputs["first"] * 2})
    first.outputs.clear()
    third = audited.capture(lambda: {"third": values + 3})
    audited.replay(first)
    audited.replay(third)
    audited.replay(second)
    [found] = audited.found
    assert found.fault is Fault.OVERWRITTEN
    assert found.kernel == "aten.mul.Tensor"


def test_scratch_results_and_constants_are_sound(audited: AuditedMemory) -> None:
    values = torch.ones(1000)

    def step() -> Outputs:
        scratch = torch.empty(1000)
        scratch[:500] = values[:500] * 2
        return {"sum": (scratch + torch.tensor(3.0)).sum(), "kept": scratch[:500]}

    graphs = [audited.capture(step) for _ in range(3)]
    for graph in graphs:
        graph.outputs.clear()
    for graph in reversed(graphs):
        audited.replay(graph)
    assert audited.found == []


def test_a_graph_captured_again_after_its_input_was_replaced_is_sound(
    audited: AuditedMemory,
) -> None:
    values = [torch.ones(4)]
    graph = audited.capture(lambda: {"sum": values[0] + 1})
    audited.replay(graph)
    values[:] = [torch.ones(4)]
    graph = audited.capture(lambda: {"sum": values[0] + 1})
    audited.replay(graph)
    assert audited.found == []


def share_block(audited: AuditedMemory, values: Tensor) -> tuple[Graph, Graph]:
    """Return two graphs: the first one's scratch is where the second one answers."""
    first = audited.capture(lambda: {"sum": (values * 2).sum()})
    second = audited.capture(lambda: {"kept": values + 1})
    return first, second


def test_an_answer_that_is_read_after_another_graph_wrote_there_is_found(
    audited: AuditedMemory,
) -> None:
    values = torch.ones(1000)
    first, second = share_block(audited, values)
    audited.replay(second)
    held = second.outputs["kept"][:3]
    audited.replay(first)
    assert audited.found == []
    assert held.tolist() == [2.0, 2.0, 2.0]
    torch.cat([held, held])
    assert [found.kernel for found in audited.found] == ["tolist", "aten.cat.default"]
    assert {found.fault for found in audited.found} == {Fault.SPOILED}
    assert "test_an_answer" in audited.found[0].owner[0]


def test_an_answer_that_is_held_and_not_read_is_sound(audited: AuditedMemory) -> None:
    values = torch.ones(1000)
    first, second = share_block(audited, values)
    audited.replay(second)
    held = second.outputs["kept"][:3]
    copied = held.clone()
    audited.replay(first)
    assert held[1:].shape == (2,)
    assert copied.tolist() == [2.0, 2.0, 2.0]
    audited.replay(second)
    assert held.tolist() == [2.0, 2.0, 2.0]
    assert audited.found == []


VALUES = torch.ones(4)


def capture_two(audited: AuditedMemory, second_pool: str) -> tuple[Graph, Graph]:
    def step() -> Outputs:
        return {"sum": (VALUES * 2).relu().sum()}

    return audited.capture(step), audited.capture(step, second_pool)


def replay_beside(audited: AuditedMemory, first: Graph, second: Graph) -> None:
    """Replay the second graph while a thread is inside the first one's replay."""
    begun, goes_on = threading.Event(), threading.Event()

    def replay_slowly(_: object) -> None:
        begun.set()
        goes_on.wait(5)

    replay = wrap_replay(replay_slowly, [audited.audit.before_replay], [audited.audit.after_replay])
    thread = threading.Thread(target=replay, args=(first,))
    thread.start()
    begun.wait(5)
    audited.replay(second)
    goes_on.set()
    thread.join(5)
    audited.replay(second)


def test_two_threads_that_replay_graphs_with_one_scratch_are_reported(
    audited: AuditedMemory,
) -> None:
    replay_beside(audited, *capture_two(audited, "shared"))
    [found] = audited.found
    assert (found.fault, found.ownership) == (Fault.CONCURRENT, Ownership.POOL)
    assert found.kernel == "aten.mul.Tensor"
    assert [writer.split(":")[0] for writer in found.writers] == ["graph 0"]


def test_two_threads_with_memory_of_their_own_give_no_finding(audited: AuditedMemory) -> None:
    replay_beside(audited, *capture_two(audited, "other"))
    assert audited.found == []


def test_graphs_with_one_scratch_in_turn_give_no_finding(audited: AuditedMemory) -> None:
    first, second = capture_two(audited, "shared")
    thread = threading.Thread(target=audited.replay, args=(first,))
    thread.start()
    thread.join(5)
    audited.replay(second)
    assert audited.found == []
