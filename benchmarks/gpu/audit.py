"""What the graph audit finds on CUDA graphs, and what it costs: `python benchmarks/gpu/audit.py`.

Each scenario runs in a process of its own, begun with the start-up hook as in an attempt. The
faulty ones leave a graph with memory that its owner gave up; what must be found is beside them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

START = Path(__file__).resolve().parents[2] / "harness" / "hook" / "start"


def capture(function: Callable[[], Any], **keys: Any) -> tuple[Any, Any]:
    import torch

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, **keys):
        result = function()
    return graph, result


def drop_input() -> None:
    """B4: the input's owner frees it after capture."""
    import torch

    values = [torch.ones(5000, device="cuda")]
    graph, _ = capture(lambda: values[0] * 2)
    graph.replay()
    values.clear()
    graph.replay()
    torch.cuda.synchronize()


def grow_workspace() -> None:
    """B1: a shared workspace is replaced by a larger one, and an equal tensor takes its block."""
    import torch

    holder = {"workspace": torch.ones(70_000, device="cuda")}
    values = torch.ones(70_000, device="cuda")
    graph, _ = capture(lambda: values * holder["workspace"])
    holder["workspace"] = torch.ones(140_000, device="cuda")
    other = torch.zeros(70_000, device="cuda")
    graph.replay()
    torch.cuda.synchronize()
    del other


def free_segment() -> None:
    """As B4, and its segment goes back to the driver: the replay ends in an illegal access."""
    import torch

    values = [torch.ones(8 << 20, device="cuda")]
    graph, _ = capture(lambda: values[0][:1000] * 2)
    values.clear()
    torch.cuda.empty_cache()
    graph.replay()
    torch.cuda.synchronize()


def drop_pinned() -> None:
    """The pinned source of a copy dies after capture."""
    import torch

    target = torch.zeros(1000, device="cuda")
    source = torch.ones(1000).pin_memory()
    graph, _ = capture(lambda: target.copy_(source, non_blocking=True))
    graph.replay()
    source = torch.ones(1000).pin_memory()
    graph.replay()
    torch.cuda.synchronize()


def drop_in_capture() -> None:
    """The input dies while the graph is captured."""
    import torch

    holder = [torch.ones(5000, device="cuda")]

    def step() -> Any:
        result = holder[0] * 2
        holder.clear()
        return result

    graph, _ = capture(step)
    graph.replay()
    torch.cuda.synchronize()


def work_soundly() -> None:
    """Graphs that share a pool, scratch and a cuBLAS workspace, recaptured; other work goes on."""
    import torch

    weight = torch.randn(512, 512, device="cuda")
    inputs = torch.zeros(64, 512, device="cuda")
    pinned = torch.ones(64, 512).pin_memory()
    stop = threading.Event()

    def allocate_beside() -> None:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            while not stop.is_set():
                (torch.ones(2000, device="cuda") * 3).sum()
        stream.synchronize()

    thread = threading.Thread(target=allocate_beside)
    thread.start()
    for _ in range(2):
        pool = torch.cuda.graph_pool_handle()
        graphs = []
        for size in (8, 16, 32, 64):

            def step(size: int = size) -> Any:
                inputs.copy_(pinned, non_blocking=True)
                return torch.softmax((inputs[:size] @ weight).relu() @ weight, -1)

            graph, _ = capture(step, pool=pool, capture_error_mode="thread_local")
            graphs.append(graph)
        for turn in range(50):
            inputs.copy_(torch.randn(64, 512, device="cuda"))
            graphs[turn % 4].replay()
            torch.cuda.synchronize()
    stop.set()
    thread.join()


#: Scenario -> the fault and the part of a kernel's name that must be found.
SCENARIOS: dict[str, tuple[Callable[[], None], str]] = {
    "drop_input": (drop_input, "elementwise"),
    "grow_workspace": (grow_workspace, "elementwise"),
    "free_segment": (free_segment, "elementwise"),
    "drop_pinned": (drop_pinned, "memcpy"),
    "drop_in_capture": (drop_in_capture, "elementwise"),
    "work_soundly": (work_soundly, ""),
}


def run_scenario(name: str, hook: str = "audit") -> tuple[list[dict[str, Any]], float, int]:
    """Return the hook's lines, the seconds of the scenario, and the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.pathsep.join(filter(None, (str(START), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path, "HARNESS_HOOK_FOLDER": folder}
        environment |= {"HARNESS_HOOK": hook} if hook else {}
        done = subprocess.run(
            [sys.executable, __file__, "--scenario", name],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        lines = [
            json.loads(one)
            for file in Path(folder).iterdir()
            for one in file.read_text().splitlines()
        ]
    seconds = [line for line in done.stdout.splitlines() if line.startswith("seconds ")]
    if done.returncode and name != "free_segment":
        print(done.stderr[-1500:])
    return lines, float(seconds[0].split()[1]) if seconds else 0.0, done.returncode


def show(name: str, wanted: str) -> bool:
    """Run one scenario with the audit and without; print and judge what was found."""
    lines, seconds, code = run_scenario(name)
    _, plain, _ = run_scenario(name, "")
    found = [one for one in lines if one["event"] == "hook_audit"]
    audited = [one for one in lines if one["event"] == "hook_audited"]
    ended = code == 0 or name == "free_segment"
    ok = ended and bool(found) == bool(wanted) and all(wanted in one["kernel"] for one in found)
    print(
        f"{'ok   ' if ok else 'WRONG'} {name}: {seconds:.3f} s, without {plain:.3f} s, exit {code}"
    )
    print(
        f"      {len(audited)} graphs, {sum(one['words'] or 0 for one in audited)} words, "
        f"{1e3 * sum(one['seconds'] for one in audited):.1f} ms after captures"
    )
    for one in found[:4]:
        print(
            f"      {one['ownership']}: {one['graph']} node {one['node']} {one['kernel'][:70]} "
            f"{one['parameter']}, {one['bytes']} bytes {one['what']}"
        )
        for key in ("allocated", "freed", "owner"):
            print(f"        {key}: {' < '.join(one[key][:2])}")
    for one in lines:
        if one["event"] not in ("hook_audit", "hook_audited", "hook_process"):
            print("      ", json.dumps(one)[:400])
    return ok


def time_first_snapshot() -> None:
    """Show what the first snapshot with a history takes, by what the history holds."""
    program = """
import sys, time, torch
if sys.argv[1] != "python":
    torch._inductor = object()
torch.cuda.memory._record_memory_history("all", context="all", stacks="python", max_entries=1000)
kept = [torch.ones(1000, device="cuda") for _ in range(300)]
times = []
for _ in range(3):
    began = time.perf_counter()
    torch.cuda.memory._snapshot()
    times.append(f"{1e3 * (time.perf_counter() - began):.1f} ms")
print("snapshots, stacks", sys.argv[1] + ":", ", ".join(times))
"""
    for stacks in ("python", "without the compiler"):
        subprocess.run([sys.executable, "-c", program, stacks], check=False, timeout=60)


def main() -> int:
    """Run all scenarios, or one of them in this process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenario", choices=SCENARIOS)
    chosen = parser.parse_args().scenario
    if chosen:
        import torch

        torch.ones(1, device="cuda")
        began = time.perf_counter()
        try:
            SCENARIOS[chosen][0]()
        finally:
            print(f"seconds {time.perf_counter() - began:.4f}", flush=True)
        return 0
    time_first_snapshot()
    results = [show(name, wanted) for name, (_, wanted) in SCENARIOS.items()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
