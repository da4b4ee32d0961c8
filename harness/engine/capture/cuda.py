"""CUDA graphs: memory pools by name, one capture stream."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import torch

from harness.engine.capture.graph import SHARED, CaptureError, Graph, Outputs


class CudaGraph:
    """One captured torch.cuda.CUDAGraph and what its function answered."""

    def __init__(self, graph: torch.cuda.CUDAGraph, outputs: Outputs) -> None:
        self._graph = graph
        self._outputs = outputs

    @property
    def outputs(self) -> Outputs:
        """The captured function's answer, rewritten in place by every replay."""
        return self._outputs

    def replay(self) -> None:
        """Launch the graph on the current stream."""
        self._graph.replay()


class CudaMemory:
    """The pools of an engine's CUDA graphs.

    The same stream captures every graph: blocks of a pool belong to the stream that made them.
    """

    kind: Literal["cuda", "recorded"] = "cuda"

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pools: dict[str, Any] = {}
        # Here and below: torch leaves its own calls without annotations.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        torch.cuda.reset_peak_memory_stats(device)

    @torch.inference_mode()
    def warm_up(self, function: Callable[[], Outputs]) -> None:
        """Run the function on the capture stream, and wait for it."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            function()
        torch.cuda.synchronize(self._device)

    @torch.inference_mode()
    def capture(self, function: Callable[[], Outputs], pool: str = SHARED) -> Graph:
        """Capture one call. Raises CaptureError where the stream refuses the work."""
        graph = torch.cuda.CUDAGraph()
        if pool not in self._pools:
            self._pools[pool] = torch.cuda.graph_pool_handle()
        try:
            # Other threads (the collectives' watchdog) may go on calling CUDA meanwhile.
            with torch.cuda.graph(
                graph,
                pool=self._pools[pool],
                stream=self._stream,
                capture_error_mode="thread_local",
            ):
                outputs = function()
        except RuntimeError as error:
            if "captur" in str(error):
                raise CaptureError(str(error)) from error
            raise
        return CudaGraph(graph, outputs)

    def free_bytes(self) -> int:
        """Free bytes of the device, other processes' use counted."""
        return torch.cuda.mem_get_info(self._device)[0]

    def total_bytes(self) -> int:
        """Bytes of the device."""
        return torch.cuda.mem_get_info(self._device)[1]

    def pool_bytes(self) -> dict[str, int]:
        """Bytes of the segments that belong to each pool."""
        segments: list[dict[str, Any]] = torch.cuda.memory_snapshot()  # type: ignore[no-untyped-call]
        sizes: Counter[tuple[int, ...]] = Counter()
        for segment in segments:
            sizes[tuple(segment["segment_pool_id"])] += int(segment["total_size"])
        return {name: sizes[tuple(handle)] for name, handle in self._pools.items()}

    def peak_bytes(self) -> int:
        """The most bytes allocated at once since this was made, eager work included."""
        return torch.cuda.max_memory_allocated(self._device)

    def close(self) -> None:
        """Return the pools' memory to the device, once their graphs are gone."""
        torch.cuda.synchronize(self._device)
        torch.cuda.empty_cache()
