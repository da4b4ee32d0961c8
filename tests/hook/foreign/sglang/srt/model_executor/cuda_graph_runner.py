"""The loop of sglang's runner, without the rest of it."""

import torch.cuda

from sglang.version import __version__ as __version__


class CudaGraphRunner:
    capture_bs = (1, 2, 4)

    def capture(self) -> None:
        for bs in reversed(self.capture_bs):
            self.capture_one_batch_size(bs)

    def capture_one_batch_size(self, num_seqs: int) -> None:
        """Capture one."""
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            self.rows = [0] * num_seqs


def capture_all() -> None:
    CudaGraphRunner().capture()
