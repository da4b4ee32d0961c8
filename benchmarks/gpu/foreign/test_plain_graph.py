"""A suite that knows nothing of this project: three tests, each captures with `torch.cuda.graph`.

Together they keep a GPU busy for about half a second. Without a GPU they are skipped.
"""

import pytest
import torch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize("width", [256, 1024, 2048])
def test_a_replay_gives_what_an_eager_step_gives(width: int) -> None:
    weight = torch.randn(width, width, device="cuda") / width**0.5
    static = torch.randn(64, width, device="cuda")

    def step() -> torch.Tensor:
        state = static
        for _ in range(40):
            state = torch.tanh(state @ weight)
        return state

    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        out = step()
    for _ in range(60):
        static.copy_(torch.randn_like(static))
        graph.replay()
    torch.testing.assert_close(out, step(), rtol=1e-3, atol=1e-3)
