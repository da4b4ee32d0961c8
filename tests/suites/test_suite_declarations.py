"""The driver must be able to read what each shipped suite says of its engine."""

from pathlib import Path

import pytest

from harness.core.suite import parse_suite, read_declarations
from harness.engine.config import build_config

ROOT = Path(__file__).parents[2]
CLASSES = {
    "suites/test_eagle_infer_b.py": [
        "TestEagleBasic",
        "TestEagleAdditional",
        "TestEaglePageSizeTopk",
        "TestEagleRetract",
        "TestEaglePageSize",
        "TestEagleAbortAll",
    ],
    "suites/test_eagle_infer_a.py": ["TestInferBasic", "TestInferPageSize"],
    "suites/test_graph_capture.py": ["TestGraphCapture", "TestCaptureModes"],
    "suites/faults/test_a1_wide_scatter.py": ["TestWideScatter"],
    "suites/faults/test_a2_missing_factor.py": ["TestMissingFactor"],
    "suites/faults/test_a4_uninitialised_tail.py": ["TestUninitialisedTail"],
    "suites/faults/test_b1_grown_workspace.py": ["TestGrownWorkspace"],
    "suites/faults/test_b3_workspace_not_monotone.py": ["TestWorkspaceNotMonotone"],
    "suites/faults/test_b4_freed_input.py": ["TestFreedInput"],
    "suites/faults/test_c4_frozen_length.py": ["TestFrozenLength"],
    "suites/faults/test_c5_other_layout.py": ["TestOtherLayout"],
    "suites/faults/test_clean_control.py": ["TestCleanControl"],
    "suites/faults/test_d_stale_padding.py": ["TestStalePadding"],
    "suites/faults/test_e1_aliased_pool.py": ["TestAliasedPool"],
    "suites/faults/test_f3_skipped_collective.py": ["TestSkippedCollective"],
    "suites/faults/test_g1_warm_cache.py": ["TestWarmCache"],
    "suites/faults/test_g2_bad_device.py": ["TestBadDevice"],
    "suites/faults/test_g3_narrow_threshold.py": ["TestNarrowThreshold"],
    "suites/faults/test_g6_memory_by_order.py": ["TestMemoryByOrder"],
    "suites/faults/test_stale_buffer.py": ["TestStaleBuffer"],
    "suites/faults/test_stale_workspace.py": ["TestStaleWorkspace"],
}


def test_every_suite_is_listed_here() -> None:
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "suites").rglob("test_*.py")}
    assert found == set(CLASSES)


@pytest.mark.parametrize(("path", "names"), CLASSES.items())
def test_a_suites_arguments_build_configurations(path: str, names: list[str]) -> None:
    declared = read_declarations(parse_suite(str(ROOT / path))).classes
    assert list(declared) == names
    for one in declared.values():
        config = build_config(one.engine_args, {}, {})
        assert config.cuda_graph_bs[-1] <= config.max_running
        folders = [config.model, config.draft_model] if config.speculative else [config.model]
        for folder in folders:
            assert (ROOT / str(folder) / "config.json").is_file()


@pytest.mark.parametrize("fault", ["stale_buffer", "stale_workspace"])
def test_a_control_patched_into_one_backend_pins_it(fault: str) -> None:
    (declared,) = read_declarations(
        parse_suite(str(ROOT / f"suites/faults/test_{fault}.py"))
    ).classes.values()
    assert declared.pinned == ("backend",)
    assert declared.engine_args["backend"] == "torch_native"
