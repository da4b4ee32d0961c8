"""Faulty and sound programs of CUDA graphs, for `audit.py`: what must be found is beside them."""

import ctypes
import threading
from collections.abc import Callable
from typing import Any


def capture(function: Callable[[], Any], **keys: Any) -> tuple[Any, Any]:
    import torch

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, **keys):
        result = function()
    return graph, result


def drop_input() -> None:
    """B4: the input's owner frees it after capture."""
    import torch

    values = [torch.ones(5000, device="cuda")]
    graph, _ = capture(lambda: values[0] * 2)
    graph.replay()
    values.clear()
    graph.replay()
    torch.cuda.synchronize()


def grow_workspace() -> None:
    """B1: a shared workspace is replaced by a larger one, and an equal tensor takes its block."""
    import torch

    holder = {"workspace": torch.ones(70_000, device="cuda")}
    values = torch.ones(70_000, device="cuda")
    graph, _ = capture(lambda: values * holder["workspace"])
    holder["workspace"] = torch.ones(140_000, device="cuda")
    other = torch.zeros(70_000, device="cuda")
    graph.replay()
    torch.cuda.synchronize()
    del other


def free_segment() -> None:
    """As B4, and its segment goes back to the driver: the replay ends in an illegal access."""
    import torch

    values = [torch.ones(8 << 20, device="cuda")]
    graph, _ = capture(lambda: values[0][:1000] * 2)
    values.clear()
    torch.cuda.empty_cache()
    graph.replay()
    torch.cuda.synchronize()


def drop_pinned() -> None:
    """The pinned source of a copy dies after capture."""
    import torch

    target = torch.zeros(1000, device="cuda")
    source = torch.ones(1000).pin_memory()
    graph, _ = capture(lambda: target.copy_(source, non_blocking=True))
    graph.replay()
    source = torch.ones(1000).pin_memory()
    graph.replay()
    torch.cuda.synchronize()


def drop_in_capture() -> None:
    """The input dies while the graph is captured."""
    import torch

    holder = [torch.ones(5000, device="cuda")]

    def step() -> Any:
        result = holder[0] * 2
        holder.clear()
        return result

    graph, _ = capture(step)
    graph.replay()
    torch.cuda.synchronize()


def work_soundly() -> None:
    """Graphs that share a pool, scratch and a cuBLAS workspace, recaptured; other work goes on."""
    import torch

    weight = torch.randn(512, 512, device="cuda")
    inputs = torch.zeros(64, 512, device="cuda")
    pinned = torch.ones(64, 512).pin_memory()
    stop = threading.Event()

    def allocate_beside() -> None:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            while not stop.is_set():
                (torch.ones(2000, device="cuda") * 3).sum()
        stream.synchronize()

    thread = threading.Thread(target=allocate_beside)
    thread.start()
    for _ in range(2):
        pool = torch.cuda.graph_pool_handle()
        graphs = []
        for size in (8, 16, 32, 64):

            def step(size: int = size) -> Any:
                inputs.copy_(pinned, non_blocking=True)
                return torch.softmax((inputs[:size] @ weight).relu() @ weight, -1)

            graph, _ = capture(step, pool=pool, capture_error_mode="thread_local")
            graphs.append(graph)
        for turn in range(50):
            inputs.copy_(torch.randn(64, 512, device="cuda"))
            graphs[turn % 4].replay()
            torch.cuda.synchronize()
    stop.set()
    thread.join()


def drop_copied() -> None:
    """The source of a copy on the device is freed after capture: a memcpy node."""
    import torch

    target = torch.zeros(5000, device="cuda")
    source = [torch.ones(5000, device="cuda")]
    graph, _ = capture(lambda: target.copy_(source[0]))
    source.clear()
    graph.replay()
    torch.cuda.synchronize()


def drop_filled() -> None:
    """What a fill of the driver's sets is freed after capture: a memset node."""
    import torch

    values = [torch.ones(5000, device="cuda")]

    def fill() -> None:
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        driver = ctypes.CDLL("libcuda.so.1")
        assert not driver.cuMemsetD8Async(
            ctypes.c_ulonglong(values[0].data_ptr()), ctypes.c_ubyte(0), ctypes.c_size_t(99), stream
        )

    graph, _ = capture(fill)
    values.clear()
    graph.replay()
    torch.cuda.synchronize()


def replay_beside(*, is_ordered: bool) -> None:
    """Replay two graphs, whose scratch is the same, on two streams in turn."""
    import torch

    pool, side = torch.cuda.graph_pool_handle(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    values = torch.ones(5000, device="cuda")

    def step(factor: float) -> Any:
        torch.cuda._sleep(2_000_000)  # type: ignore[no-untyped-call]
        return (values * factor).sum()

    first, one = capture(lambda: step(2.0), pool=pool)
    second, other = capture(lambda: step(3.0), pool=pool)
    main = torch.cuda.current_stream()
    for _ in range(8):
        first.replay()
        if is_ordered:
            side.wait_stream(main)
        with torch.cuda.stream(side):
            second.replay()
        if is_ordered:
            main.wait_stream(side)
    torch.cuda.synchronize()
    del one, other


def write_beside() -> None:
    """Nothing orders the two."""
    replay_beside(is_ordered=False)


def write_in_turn() -> None:
    """Events order the two: sound."""
    replay_beside(is_ordered=True)


def share_weights() -> None:
    """Two graphs with pools of their own read the same weights at the same time: sound."""
    import torch

    weight = torch.ones(512, 512, device="cuda")

    def step() -> Any:
        torch.cuda._sleep(2_000_000)  # type: ignore[no-untyped-call]
        return (weight * 2).sum()

    made = [capture(step) for _ in range(2)]
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    for _ in range(8):
        made[0][0].replay()
        with torch.cuda.stream(side):
            made[1][0].replay()
    torch.cuda.synchronize()


#: Scenario -> the fault and the part of a kernel's name that must be found.
SCENARIOS: dict[str, tuple[Callable[[], None], str]] = {
    "drop_input": (drop_input, "elementwise"),
    "grow_workspace": (grow_workspace, "elementwise"),
    "free_segment": (free_segment, "elementwise"),
    "drop_pinned": (drop_pinned, "memcpy"),
    "drop_in_capture": (drop_in_capture, "elementwise"),
    "drop_copied": (drop_copied, "memcpy"),
    "drop_filled": (drop_filled, "memset"),
    "write_beside": (write_beside, "kernel"),
    "work_soundly": (work_soundly, ""),
    "write_in_turn": (write_in_turn, ""),
    "share_weights": (share_weights, ""),
}
