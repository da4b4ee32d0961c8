"""The memory of an engine's graphs on either device."""

import torch

from harness.engine.capture.graph import GraphMemory


def make_graph_memory(device: torch.device) -> GraphMemory:
    """Return the memory of CUDA graphs on a GPU, and of recorded graphs on the CPU."""
    if device.type == "cuda":
        from harness.engine.capture.cuda import CudaMemory

        return CudaMemory(device)
    from harness.engine.capture.recorded import RecordedMemory

    return RecordedMemory()
