"""A suite that captures graphs in descending order, here and in a child process."""

import subprocess
import sys
from pathlib import Path

import torch.cuda

LOOP = """
import torch.cuda
for size in (4, 2, 1):
    with torch.cuda.graph(torch.cuda.CUDAGraph(), pool=(0, 7)):
        pass
"""


class Runner:
    def capture(self) -> None:
        for bs in (8, 3):
            self.rows = [0] * bs
            with torch.cuda.graph(torch.cuda.CUDAGraph()):
                pass


def test_here() -> None:
    Runner().capture()


def test_in_a_child() -> None:
    subprocess.run([sys.executable, "-c", LOOP], check=True)


def test_nothing_of_the_hook_can_be_imported() -> None:
    assert not any(Path(entry, "sitecustomize.py").is_file() for entry in sys.path)
    assert not [name for name in sys.modules if name.startswith("harness.hook")]
