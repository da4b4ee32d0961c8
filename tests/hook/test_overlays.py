"""Overlays turn the capture loops of published engines, and refuse what they do not know."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

from harness.hook.ordering import Ordering
from harness.hook.overlays import patching
from harness.hook.overlays.rows import SGLANG, VLLM, Engine, Target, list_modules
from harness.hook.refusal import HookRefusal
from tests.hook import published

SIZES = [1, 2, 4, 8]
ORDERS = {"ascending": SIZES, "descending": SIZES[::-1]}


@pytest.fixture
def state_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Have an engine of this version, as far as its version goes."""

    def state(engine: Engine, version: str) -> None:
        package = ModuleType(f"{engine.name}.version")
        vars(package)["__version__"] = version
        monkeypatch.setitem(sys.modules, package.__name__, package)

    yield state


def find_target(engine: Engine, module: str) -> Target:
    return next(target for target in engine.targets if target.module.endswith(f".{module}"))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("module", "sizes"),
    [("cuda_graph_runner", "capture_bs"), ("piecewise_cuda_graph_runner", "capture_num_tokens")],
)
def test_a_runner_of_sglang_captures_in_the_order_asked_for(
    state_version: Any, module: str, sizes: str, order: str
) -> None:
    state_version(SGLANG, "0.5.12")
    target = find_target(SGLANG, module)
    sources = published.read_sources("sglang", "0.5.12", list_modules(SGLANG))
    loaded = published.make_module(target.module, sources[target.module], "capture")
    loaded.get_tensor_model_parallel_rank.return_value = 0
    loaded.get_available_gpu_memory.return_value = 1.0
    assert patching.patch_module(SGLANG, target, loaded, Ordering(order, 0)) == "reversed"
    runner = MagicMock(enable_pdmux=False, record_nolora_graph=False, enable_profile_cuda_graph=0)
    runner.capture_one_batch_size.return_value = (None, None)
    setattr(runner, sizes, list(SIZES))
    owner = next(
        one for one in vars(loaded).values() if isinstance(one, type) and hasattr(one, "capture")
    )
    owner.capture(runner)
    seen = [call.args[0] for call in runner.capture_one_batch_size.call_args_list]
    assert seen == ORDERS[order]


@pytest.mark.parametrize("order", ORDERS)
def test_the_dispatcher_of_vllm_lists_sizes_in_the_order_asked_for(
    state_version: Any, order: str
) -> None:
    state_version(VLLM, "0.33.0")
    target = find_target(VLLM, "cudagraph_dispatcher")
    sources = published.read_sources("vllm", "0.33.0", list_modules(VLLM))
    loaded = published.make_module(target.module, sources[target.module], "get_capture_descs")
    assert patching.patch_module(VLLM, target, loaded, Ordering(order, 0)) == "dispatcher"
    descriptors = [MagicMock(num_tokens=size, num_active_loras=0) for size in SIZES]
    modes = loaded.CUDAGraphMode
    dispatcher = MagicMock(cudagraph_keys={modes.PIECEWISE: descriptors, modes.FULL: descriptors})
    listed = loaded.CudagraphDispatcher.get_capture_descs(dispatcher)
    assert [mode for mode, _ in listed] == [modes.PIECEWISE, modes.FULL]
    for _, found in listed:
        assert [one.num_tokens for one in found] == ORDERS[order]


@pytest.mark.parametrize("order", ORDERS)
def test_the_second_runner_of_vllm_captures_in_the_order_asked_for(
    state_version: Any, order: str
) -> None:
    state_version(VLLM, "0.33.0")
    target = find_target(VLLM, "cudagraph_utils")
    sources = published.read_sources("vllm", "0.33.0", list_modules(VLLM))
    loaded = published.make_module(target.module, sources[target.module], "capture")
    assert patching.patch_module(VLLM, target, loaded, Ordering(order, 0)) == "manager"
    mode = loaded.CUDAGraphMode.FULL
    largest_first = [MagicMock(num_tokens=size, cg_mode=mode) for size in SIZES[::-1]]
    manager = MagicMock(
        _capture_descs={mode: largest_first}, _max_full_descs_to_capture=None, graphs={}
    )
    make_forward = MagicMock()
    loaded.CudaGraphManager.capture(manager, make_forward)
    seen = [c.args[0].num_tokens for c in make_forward.call_args_list if c.kwargs["warmup"]]
    assert seen == ORDERS[order]


@pytest.mark.parametrize("version", ["0.4.1", "0.6.0", "1", "dev", ""])
def test_a_version_that_the_overlay_was_not_written_for_is_refused(
    state_version: Any, version: str
) -> None:
    state_version(SGLANG, version)
    with pytest.raises(HookRefusal):
        patching.patch_module(SGLANG, SGLANG.targets[0], MagicMock(), Ordering("ascending", 0))


@pytest.mark.parametrize(
    "source", ["", "reversed(self.sizes)", "reversed(self.capture_bs); reversed(layers)"]
)
def test_code_that_the_overlay_does_not_know_is_refused(state_version: Any, source: str) -> None:
    state_version(SGLANG, "0.5.12")
    target = SGLANG.targets[0]
    module = ModuleType(target.module)
    vars(module)["__spec__"] = MagicMock(**{"loader.get_source.return_value": source})
    with pytest.raises(HookRefusal):
        patching.patch_module(SGLANG, target, module, Ordering("ascending", 0))
    assert "reversed" not in vars(module)


def test_an_old_runner_that_cannot_be_turned_is_refused_once_it_is_used(
    state_version: Any,
) -> None:
    state_version(VLLM, "0.17.1")
    target = find_target(VLLM, "cudagraph_utils")
    module: Any = ModuleType(target.module)
    module.CudaGraphManager = type("CudaGraphManager", (), {})
    assert patching.patch_module(VLLM, target, module, Ordering("ascending", 0)) == ""
    with pytest.raises(HookRefusal):
        module.CudaGraphManager()


def test_only_sizes_are_ordered_and_all_else_is_reversed() -> None:
    ordered = Ordering("ascending", 0).make_reversed(reversed)
    assert [*ordered([4, 8, 2])] == [2, 4, 8]
    assert [*ordered(["a", "b"])] == ["b", "a"]
    assert [*ordered([True, False])] == [False, True]


def test_a_shuffled_order_follows_from_the_seed() -> None:
    sizes = [*range(1, 30)]
    once, again = (Ordering("shuffled", 7).sort(sizes) for _ in range(2))
    assert once == again != sizes and sorted(once) == sizes
    assert Ordering("shuffled", 8).sort(sizes) != once


def test_an_order_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="upwards"):
        Ordering("upwards", 0)
