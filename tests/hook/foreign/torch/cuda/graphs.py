import sys


def _reserve() -> None:
    vars(sys.modules["torch.cuda"])["RESERVED"] += 2 << 20


class _CUDAGraph:
    """What torch defines in C++."""

    def __init__(self, keep_graph: bool = False) -> None:
        self.keep_graph = keep_graph

    def capture_begin(self, pool: object = None, capture_error_mode: str = "global") -> None:  # noqa: ARG002
        """Begin: the first one makes the random numbers' state, outside the graphs' pool."""
        if not vars(sys.modules["torch.cuda"])["RESERVED"]:
            _reserve()

    def capture_end(self) -> None:
        """End."""
        _reserve()

    def replay(self) -> None:
        """Launch."""


class CUDAGraph(_CUDAGraph):
    def __new__(cls, keep_graph: bool = False) -> "CUDAGraph":  # noqa: ARG004
        return super().__new__(cls)

    def capture_begin(self, pool: object = None, capture_error_mode: str = "global") -> None:
        super().capture_begin(pool=pool, capture_error_mode=capture_error_mode)

    def capture_end(self) -> None:
        super().capture_end()

    def replay(self) -> None:
        super().replay()


class graph:  # noqa: N801 - torch's name
    def __init__(self, cuda_graph: CUDAGraph, pool: object = None) -> None:
        self.cuda_graph, self.pool = cuda_graph, pool

    def __enter__(self) -> None:
        self.cuda_graph.capture_begin(self.pool, capture_error_mode="global")

    def __exit__(self, *args: object) -> None:
        self.cuda_graph.capture_end()
