"""The positive control: a buffer that grows during capture, in one attempt seed out of five.

Mechanism (TensorRT-LLM#16319, FlashInfer#4398, vLLM#52553): attention metadata is sized on demand.
Captured in ascending order it grows at every larger batch, and the graphs captured before keep the
address of the buffer that was replaced; nobody writes there any more, so they read other rows'
pages. Captured in descending order the first buffer is the largest, and none is replaced. The
rate follows the capture order, and yet the order is not the cause: the growing buffer is.

In the field such a fault waits for an input that asks for it. Here the attempt's seed does: it is
armed where a hash of the seed falls in one fifth, so the true rate is 0.2 in ascending order and 0
in descending order. It is patched in from outside and on rank 0 alone, which is enough to spoil
the sum that all ranks share.
"""

from unittest import mock

from faults.control import ParityControl, attempt_seed, falls_in
from torch import Tensor

from harness.engine.attention.base import AttentionShape
from harness.engine.attention.pages import GatheredPages
from harness.engine.attention.torch_native import TorchNative

#: The share of attempt seeds that arm the fault.
RATE = 0.2


def is_armed(seed: int) -> bool:
    """Whether this attempt's seed asks for the fault."""
    return falls_in(RATE, "stale buffer", seed)


class GrowingPages(GatheredPages):
    """GatheredPages, but with metadata that is sized by the largest batch seen so far."""

    def __init__(self, shape: AttentionShape) -> None:
        """Start with room for one row."""
        super().__init__(shape)
        self.index, self._table = self.index[:1].clone(), self._table[:1].clone()

    def prepare(self, page_table: Tensor) -> None:
        """Grow where the batch is larger than any before: the old buffers are left behind."""
        rows = page_table.shape[0]
        if rows > self.index.shape[0]:
            self.index = self.index.new_zeros(rows, self.index.shape[1])
            self._table = self._table.new_zeros(rows, self._table.shape[1])
        super().prepare(page_table)


class GrowingTorchNative(TorchNative):
    """TorchNative over growing pages."""

    def init_static_state(self, shape: AttentionShape) -> None:
        """As TorchNative, with its pages replaced."""
        super().init_static_state(shape)
        self._pages = GrowingPages(shape)


class TestStaleBuffer(ParityControl):
    """The clean control with the fault in one attempt seed out of five."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        backend="torch_native",
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=48,
    )
    pinned = ("backend",)

    @classmethod
    def setUpClass(cls) -> None:
        if not is_armed(attempt_seed()):
            cls.build(cls.engine_args)
            return
        factory = "harness.engine.attention.torch_native.TorchNative"
        with mock.patch(factory, GrowingTorchNative):
            cls.build(cls.engine_args)

    def test_answers_are_the_references(self) -> None:
        self.check_parity()
