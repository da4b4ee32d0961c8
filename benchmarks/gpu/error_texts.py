"""Provoke what CUDA, torch and NCCL report, and keep their words: each error in its own process.

    python benchmarks/gpu/error_texts.py FILE.json

An error may poison its context for good, so every case runs in a fresh process. The result maps a
case to the exception's type names (its MRO), its message, and how the process ended: what the
classification of kinds is tested on (`tests/data/cuda_errors.json`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHILD_SECONDS = 120
_HUGE = 1 << 45

CASES: dict[str, Callable[[], object]] = {}


def provoke(case: Callable[[], object]) -> Callable[[], object]:
    """Register a function that raises the error which its name says."""
    CASES[case.__name__] = case
    return case


def launch(source: str, *, block: int = 1) -> None:
    """Compile `source`, a kernel named `broken`, launch one block of it and wait for its end."""
    import cupy
    import torch

    target = torch.zeros(64, dtype=torch.int32, device="cuda")
    kernel = cupy.RawKernel(f'extern "C" __global__ void broken(int *p) {{ {source} }}', "broken")
    kernel((1,), (block,), (cupy.uint64(target.data_ptr()),))
    torch.cuda.synchronize()


@provoke
def illegal_address() -> None:
    launch("p[1LL << 40] = 1;")


@provoke
def misaligned_address() -> None:
    launch("*(int *)((char *)p + 1) = 1;")


@provoke
def launch_failure() -> None:
    launch('asm("trap;");')


@provoke
def invalid_configuration() -> None:
    launch("p[0] = 1;", block=4096)


@provoke
def stack_overflow_on_device() -> None:
    launch("volatile int a[1 << 18]; for (int i = 0; i < 1 << 18; i++) a[i] = i; p[0] = a[p[1]];")


@provoke
def device_assert() -> None:
    import torch

    rows = torch.zeros(4, 4, device="cuda")
    torch.nn.functional.embedding(torch.tensor([9], device="cuda"), rows)
    torch.cuda.synchronize()


@provoke
def out_of_memory_in_allocator() -> object:
    import torch

    return torch.empty(_HUGE, dtype=torch.uint8, device="cuda")


@provoke
def out_of_memory_in_cuda_malloc() -> object:
    import torch

    os.environ["PYTORCH_NO_CUDA_MEMORY_CACHING"] = "1"
    return torch.empty(_HUGE, dtype=torch.uint8, device="cuda")


@provoke
def out_of_memory_in_cupy() -> object:
    import cupy

    return cupy.cuda.runtime.malloc(_HUGE)


@provoke
def out_of_memory_pinned() -> object:
    import torch

    return torch.empty(_HUGE, dtype=torch.uint8, pin_memory=True)


@provoke
def out_of_memory_on_host() -> object:
    import torch

    return torch.empty(1 << 50, dtype=torch.uint8)


@provoke
def out_of_memory_in_cublas() -> None:
    import torch

    free, _ = torch.cuda.mem_get_info()
    kept = [torch.zeros(8, 8, device="cuda")]
    while free > 1 << 20:
        try:
            kept.append(torch.empty(free // 2, dtype=torch.uint8, device="cuda"))
        except torch.OutOfMemoryError:
            free //= 2
    torch.matmul(kept[0], kept[0])
    torch.cuda.synchronize()


@provoke
def synchronise_while_capturing() -> None:
    import torch

    with torch.cuda.graph(torch.cuda.CUDAGraph()):
        torch.cuda.synchronize()


@provoke
def read_a_value_while_capturing() -> None:
    import torch

    value = torch.ones(1, device="cuda")
    with torch.cuda.graph(torch.cuda.CUDAGraph()):
        value.add(1).item()


@provoke
def invalidate_a_capture() -> None:
    import cupy
    import torch

    value = torch.ones(1, device="cuda")
    with torch.cuda.graph(torch.cuda.CUDAGraph()):
        value.add_(1)
        try:
            cupy.cuda.runtime.deviceSynchronize()
        except Exception as error:
            sys.stderr.write(f"inside: {error}\n")
        value.add_(1)


@provoke
def replay_after_its_memory_was_freed() -> None:
    import torch

    graph, held = torch.cuda.CUDAGraph(), torch.ones(1 << 26, device="cuda")
    with torch.cuda.graph(graph):
        held.add_(1)
    del held
    torch.cuda.empty_cache()
    graph.replay()
    torch.cuda.synchronize()


@provoke
def one_device_twice_in_nccl() -> None:
    import torch
    import torch.distributed as dist

    rank = int(os.environ["RANK"])
    method = f"file://{os.environ['STORE']}"
    dist.init_process_group("nccl", init_method=method, rank=rank, world_size=2)
    dist.all_reduce(torch.ones(1, device="cuda"))
    torch.cuda.synchronize()


def describe(error: BaseException) -> dict[str, Any]:
    """Return type names, innermost first, and the message, as the wire carries them."""
    names = [
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
        for cls in type(error).__mro__
        if cls is not object
    ]
    return {"types": names, "message": str(error)[:4000]}


def run_case(name: str) -> None:
    """Provoke one case and print what was raised as one JSON line."""
    try:
        CASES[name]()
        print(json.dumps({"types": [], "message": "nothing was raised"}))
    except BaseException as error:
        print(json.dumps(describe(error)), flush=True)
    # A poisoned context may hang at exit, and that is another case.
    os._exit(0)


def collect(name: str) -> dict[str, Any]:
    """Run one case in a process of its own, two for a collective, and return rank 0's words."""
    ranks = 2 if name.endswith("nccl") else 1
    environment = {**os.environ, "NCCL_NVLS_ENABLE": "0", "STORE": f"/tmp/store-{os.getpid()}"}
    children = [
        subprocess.Popen(
            [sys.executable, __file__, "--case", name],
            env={**environment, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(ranks)
    ]
    try:
        out, err = children[0].communicate(timeout=_CHILD_SECONDS)
    except subprocess.TimeoutExpired:
        out, err = "", f"no end after {_CHILD_SECONDS} s"
    for child in children:
        child.kill()
        child.wait()
    lines = [line for line in out.splitlines() if line.startswith("{")]
    said: dict[str, Any] = json.loads(lines[-1]) if lines else {"types": [], "message": ""}
    return {**said, "status": children[0].returncode, "stderr": err[-1500:]}


def main() -> None:
    """Collect every case and write the file that the first argument names."""
    if sys.argv[1] == "--case":
        run_case(sys.argv[2])
    found = {}
    for name in CASES:
        found[name] = collect(name)
        print(f"{name}: {found[name]['message'][:160]!r}", flush=True)
    Path(sys.argv[1]).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
