import sys

import torch.cuda


def test_captures() -> None:
    sys.stdout.write("what the suite writes\n")
    for bs in (1, 2):
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            assert bs


def test_fails() -> None:
    raise ValueError("three")
