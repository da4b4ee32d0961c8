"""Nothing of the compiler is imported to run a kernel: it takes seconds, in every attempt."""

import subprocess
import sys
from pathlib import Path

#: What a first call of a custom operator of torch, or torch.compile, brings in.
COMPILER = "{'torch._dynamo', 'torch._inductor', 'sympy', 'torch.distributed.fsdp'}"

#: A library as FlashAttention 3 is built: its forward is a custom operator of torch.
LIBRARY = """
import torch
@torch.library.custom_op("stand_in::forward", mutates_args=(), device_types="cpu")
def _forward(q: torch.Tensor, k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return q.clone(), q.new_zeros(q.shape[0], q.shape[2], q.shape[1])
def flash_attn_with_kvcache(q, k, v, **options):
    return _forward(q, k)
"""

CALL = """
import sys, torch
from harness.engine.attention.base import AttentionShape
from harness.engine.attention.fa3 import make_fa3
from harness.engine.cache.pool import allocate_pool, split_layers
backend = make_fa3(native=True, splits=1)
assert backend.library == "fa3_fwd_interface", backend.library
cpu = torch.device("cpu")
backend.init_static_state(AttentionShape(1, 2, 2, 64, 4, 1, cpu, torch.float32))
(cache,) = split_layers(allocate_pool((1, 2, 5, 2, 64), cpu, torch.float32))
with torch.inference_mode():
    backend.prepare(torch.arange(1, 5).view(1, 4))
    backend.bind(torch.zeros(1, 1, dtype=torch.int64))
    query = torch.randn(1, 1, 2, 64)
    assert torch.equal(backend.forward(query, cache), query.flatten(2))
"""

BUILD = """
import sys
from harness.engine.engine import Engine
model = sys.argv[1] + "/suites/models/arith/"
args = {"model": model + "target", "draft_model": model + "draft", "cuda_graph_bs": [1]}
with Engine.from_cell({**args, "max_running": 1, "max_context": 24}) as engine:
    engine.generate([[3, 4]], 4)
"""

ROOT = Path(__file__).parents[2]


def find_compiler(code: str, *folders: Path) -> str:
    """Run code in an interpreter of its own; what of the compiler it imported."""
    check = f"\nimport sys\nprint(sorted({COMPILER} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code + check, str(ROOT)],
        env={"PYTHONPATH": ":".join(map(str, (*folders, ROOT))), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_a_kernel_library_of_custom_operators_is_called_without_the_compiler(
    tmp_path: Path,
) -> None:
    (tmp_path / "fa3_fwd_interface.py").write_text(LIBRARY)
    assert find_compiler(CALL, tmp_path) == "[]"


def test_calling_such_an_operator_would_import_it(tmp_path: Path) -> None:
    (tmp_path / "fa3_fwd_interface.py").write_text(LIBRARY)
    code = (
        "import torch, fa3_fwd_interface as f; f._forward(torch.zeros(1, 1, 1, 1), torch.zeros(1))"
    )
    assert "torch._dynamo" in find_compiler(code, tmp_path)


def test_an_engine_on_recorded_graphs_needs_no_compiler() -> None:
    assert find_compiler(BUILD) == "[]"
