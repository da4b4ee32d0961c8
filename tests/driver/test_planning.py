"""The plan: defaults of the contract, refusals with their reasons, nothing that cannot be meant."""

import json
import struct
from functools import partial
from pathlib import Path

import pytest

from harness.core.cell import Axis
from harness.core.errors import UsageError
from harness.core.order import CaptureOrder
from harness.core.suite import EngineDeclaration
from harness.driver.applicability import find_misfits
from harness.driver.axes import Machine, complete_axes
from harness.driver.options import RunOptions
from harness.driver.planning import gate_order, make_plan
from harness.driver.preflight import check_model, read_head_dim

PLAIN = "def test_it(): ...\n"
OURS = "engine_args = dict()\n"


@pytest.fixture
def suite(tmp_path: Path) -> str:
    path = tmp_path / "test_it.py"
    path.write_text(OURS + PLAIN)
    return str(path)


@pytest.fixture
def foreign(tmp_path: Path) -> str:
    path = tmp_path / "test_foreign.py"
    path.write_text(PLAIN)
    return str(path)


def to_text(axis: Axis) -> str:
    return f"{axis.name}={','.join(map(str, axis.values))}"


def plan_of(suite: str, *axes: Axis, devices: int = 2, device: str = "cpu") -> list[str]:
    options = RunOptions(suites=(suite,), repeats=1, axis=tuple(map(to_text, axes)))
    plan = make_plan(options, device, devices, seed=1, in_ci=False)
    return [planned.cell.label for planned in plan.runnable]


def test_the_defaults_are_both_orders_every_backend_and_two_ranks(suite: str) -> None:
    assert plan_of(suite) == ["ascending · torch_native · tp 2", "descending · torch_native · tp 2"]


def test_one_device_means_one_rank(suite: str) -> None:
    assert plan_of(suite, devices=1)[0].endswith("tp 1")


def test_given_axes_replace_the_defaults_and_others_follow() -> None:
    given = (Axis("env:X", ("a",)), Axis("tp", (1,)))
    axes = complete_axes(given, Machine("cpu", 2), has_engine=True)
    assert [axis.name for axis in axes] == ["order", "backend", "tp", "env:X"]


def test_a_suite_without_the_engine_gets_one_cell_of_one_device(foreign: str) -> None:
    assert plan_of(foreign) == ["tp 1"]


def test_a_suite_without_the_engine_gets_the_axes_that_are_named_and_no_other(foreign: str) -> None:
    assert plan_of(foreign, Axis("order", ("ascending", "descending"))) == [
        "ascending · tp 1",
        "descending · tp 1",
    ]
    assert plan_of(foreign, Axis("page_size", (512,)), Axis("tp", (2,))) == ["tp 2 · page_size 512"]


def test_suites_with_and_without_the_engine_each_get_their_own_cells(
    suite: str, foreign: str
) -> None:
    options = RunOptions(suites=(suite, foreign), repeats=1)
    plan = make_plan(options, "cpu", 2, seed=1, in_ci=False)
    found = {(Path(one.suite).name, one.cell.label) for one in plan.runnable}
    assert found == {
        ("test_it.py", "ascending · torch_native · tp 2"),
        ("test_it.py", "descending · torch_native · tp 2"),
        ("test_foreign.py", "tp 1"),
    }


@pytest.mark.parametrize(
    ("axis", "told"),
    [
        (Axis("order", ("up",)), "'order' .*'up'.*ascending"),
        (Axis("capture_phases", ("both",)), "'both'.*interleaved, two-phase"),
        (Axis("pool_sharing", ("per_role",)), "'per_role'.*shared, per-role, per-graph"),
        (Axis("dtype", ("int4",)), "'dtype' .*'int4'.*float32"),
        (Axis("prefix_cache", ("maybe",)), "'prefix_cache' .*'maybe'"),
        (Axis("seed", (1,)), "'seed'.*cannot vary"),
        (Axis("backend", ("fa9",)), "'fa9': did you mean 'fa3'.*choose from"),
        (Axis("backend", ("fa3",)), "fa3 has no cpu kernel.*available here: torch_native"),
        (Axis("tp", (3,)), "there are 2"),
        (Axis("tp", (0,)), "'tp' cannot be 0"),
        (Axis("colour", ("red",)), "unknown axis 'colour'.*page_size.*--env"),
    ],
)
def test_a_value_that_cannot_be_meant_names_what_can(suite: str, axis: Axis, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        plan_of(suite, axis)


def test_an_argument_that_a_suite_declares_is_an_axis(tmp_path: Path) -> None:
    path = tmp_path / "test_own.py"
    path.write_text("engine_args = dict(colour='red')\n" + PLAIN)
    assert len(plan_of(str(path), Axis("colour", ("red", "blue")), Axis("order", ("gate",)))) == 2


def test_a_class_that_a_pin_bars_is_deselected_and_said(tmp_path: Path) -> None:
    path = tmp_path / "test_two.py"
    path.write_text(
        "class TestPinned:\n    engine_args = dict(page_size=4)\n    pinned = ('page_size',)\n"
        "class TestFree:\n    def test_it(self): ...\n"
    )
    options = RunOptions(suites=(str(path),), axis=("page_size=1",))
    plan = make_plan(options, "cpu", 1, seed=1, in_ci=False)
    assert plan.cells[0].deselect == (f"{path}::TestPinned",)
    assert "TestPinned not applicable: page_size is pinned to 4" in plan.cells[0].notes
    only = RunOptions(suites=(f"{path}::TestPinned",), axis=("page_size=1",))
    refused = make_plan(only, "cpu", 1, seed=1, in_ci=False)
    assert "page_size is pinned to 4" in (refused.cells[0].refused or "")
    assert not refused.runnable


@pytest.mark.parametrize(
    ("axis", "told"),
    [
        (Axis("page_size", (512,)), "torch_native: page_size 512 is not supported (1 to 256 are)"),
        (Axis("attention_splits", (2,)), "torch_native: attention_splits 2 cannot be set"),
    ],
)
def test_a_cell_that_its_backend_cannot_run_is_refused_with_the_reason(
    suite: str, axis: Axis, told: str
) -> None:
    options = RunOptions(suites=(suite,), axis=(to_text(axis), "order=gate"))
    (planned,) = make_plan(options, "cpu", 1, seed=1, in_ci=False).cells
    assert told in (planned.refused or "")


def test_only_the_class_that_a_backend_cannot_run_is_deselected(tmp_path: Path) -> None:
    path = tmp_path / "test_two.py"
    path.write_text(
        OURS
        + "class TestWide:\n    engine_args = dict(page_size=512)\n    def test_it(self): ...\n"
        "class TestFree:\n    def test_it(self): ...\n"
    )
    options = RunOptions(suites=(str(path),), axis=("order=gate",))
    (planned,) = make_plan(options, "cpu", 1, seed=1, in_ci=False).cells
    assert planned.refused is None
    assert planned.deselect == (f"{path}::TestWide",)
    assert "TestWide not applicable: torch_native: page_size 512" in planned.notes[0]


def test_each_role_has_its_own_axis(suite: str) -> None:
    roles = tuple(Axis(f"{role}_backend", ("torch_native",)) for role in ("prefill", "draft"))
    assert plan_of(suite, *roles, Axis("order", ("gate",)), devices=1) == [
        "gate · torch_native · tp 1 · prefill_backend torch_native · draft_backend torch_native"
    ]
    with pytest.raises(UsageError, match="fa3 has no cpu kernel"):
        plan_of(suite, Axis("draft_backend", ("fa3",)))


def test_the_head_dim_of_the_model_is_held_against_the_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.driver.applicability.explain_absence", lambda _name, _device: None)
    model = str(checkpoint(tmp_path, heads=8, hidden_size=96))
    declared = EngineDeclaration({"model": model, "backend": "fa2"})
    head_dim = partial(read_head_dim, suite="suite.py", root=Path())
    assert find_misfits(declared, {}, "cuda", head_dim) == [
        "fa2: head_dim 12 is not supported (64, 128 are)"
    ]
    assert find_misfits(declared, {"backend": "torch_native"}, "cuda", head_dim) == []
    stated = EngineDeclaration({"model": str(checkpoint(tmp_path, head_dim=64)), "backend": "fa2"})
    assert find_misfits(stated, {}, "cuda", head_dim) == []
    assert "dtype float32" in find_misfits(stated, {"dtype": "float32"}, "cuda", head_dim)[0]


def test_drafts_whose_sizes_do_not_go_together_are_refused_in_the_plan() -> None:
    declared = EngineDeclaration({"spec_topk": 5, "spec_steps": 8, "spec_draft_tokens": 64})

    def reasons(**axes: object) -> list[str]:
        return find_misfits(declared, {"backend": "torch_native", **axes}, "cpu", lambda _: None)

    assert reasons() == reasons(spec_topk=4) == []
    assert "a chain of spec_steps 8 has 9" in reasons(spec_topk=1)[0]
    assert "spec_topk 9 is not supported" in reasons(spec_topk=9)[0]
    assert reasons(spec_topk=1, speculative="false") == reasons(spec_topk="x") == []


@pytest.mark.parametrize(
    "bad",
    [{"repeats": 0}, {"slots": 0}, {"timeout_s": 0}, {"isolation": "magic"}, {"seed": -1}],
)
def test_options_out_of_range_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        RunOptions(**bad)  # type: ignore[arg-type]


def test_the_gate_looks_at_the_backends_that_the_class_really_gets() -> None:
    declared = EngineDeclaration({"backend": "fa2", "draft_backend": "fa3"})
    from harness.core.cell import Cell

    assert gate_order(declared, Cell(()), True) is CaptureOrder.ASCENDING
    assert gate_order(declared, Cell((("backend", "fa2"),)), True) is CaptureOrder.DESCENDING
    roles = (("backend", "fa2"), ("prefill_backend", "fa3"))
    assert gate_order(declared, Cell(roles), True) is CaptureOrder.ASCENDING


def checkpoint(folder: Path, *, heads: int = 8, **sizes: int) -> Path:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"x" * 8)
    config = {"num_attention_heads": heads, "num_key_value_heads": heads, **sizes}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_whole_checkpoint_passes(tmp_path: Path) -> None:
    check_model(str(checkpoint(tmp_path)), "suite.py", [1, 2, 4])


def test_a_tp_that_does_not_divide_the_heads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--tp 2 does not divide num_attention_heads = 3"):
        check_model(str(checkpoint(tmp_path, heads=3)), "suite.py", [2])


@pytest.mark.parametrize("kept", [0, 4, 12, 60])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, kept: int) -> None:
    path = checkpoint(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UsageError, match=r"corrupt|truncated"):
        check_model(str(tmp_path), "suite.py", [1])


def test_a_checkpoint_of_noise_is_refused(tmp_path: Path) -> None:
    (checkpoint(tmp_path) / "model.safetensors").write_bytes(b"\x10" + b"\0" * 7 + b"\xff" * 64)
    with pytest.raises(UsageError, match="corrupt"):
        check_model(str(tmp_path), "suite.py", [1])


def test_a_missing_model_is_named() -> None:
    with pytest.raises(UsageError, match=r"'no/such' of suite.py does not exist"):
        check_model("no/such", "suite.py", [1])


def test_dummy_weights_need_no_weight_file(tmp_path: Path) -> None:
    (checkpoint(tmp_path) / "model.safetensors").unlink()
    check_model(str(tmp_path), "suite.py", [1], has_weights=False)
    with pytest.raises(UsageError, match=r"holds no .safetensors file"):
        check_model(str(tmp_path), "suite.py", [1])
