"""What amplifiers do to silent faults and to sound code: `python benchmarks/gpu/amplify.py`.

Each mechanism is tried 20 times in one process, plain and amplified; the sound program 20 times
under all amplifiers. Printed: how many tries gave a wrong result.
"""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

START = Path(__file__).resolve().parents[2] / "harness" / "hook" / "start"
TRIES = 20
SIZE = 5000


def capture(function: Callable[[], Any], **keys: Any) -> tuple[Any, Any]:
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, **keys):
        result = function()
    return graph, result


def is_wrong(result: Any, wanted: float) -> bool:
    torch.cuda.synchronize()
    return not bool((result == wanted).all())


def drop_input() -> bool:
    """B4: nobody has taken the input's block yet, so the answers are right."""
    values = [torch.ones(SIZE, device="cuda")]
    graph, result = capture(lambda: values[0] * 2)
    values.clear()
    graph.replay()
    return is_wrong(result, 2.0)


def grow_workspace() -> bool:
    """B1: the plan is the same as before, and still stands in the old workspace."""
    held = {"plan": torch.ones(SIZE, device="cuda")}
    values = torch.ones(SIZE, device="cuda")
    graph, result = capture(lambda: values * held["plan"])
    held["plan"] = torch.ones(4 * SIZE, device="cuda")
    graph.replay()
    return is_wrong(result, 1.0)


def leave_tail() -> bool:
    """A4: the workspace's tail is never written, and was zero so far."""
    values = torch.zeros(SIZE, device="cuda")
    warm, _ = capture(lambda: values + 1)
    torch.zeros(SIZE, device="cuda")  # freed at once: its block holds zeros
    warm.replay()
    workspace = torch.empty(SIZE, device="cuda")
    workspace[:100] = 0
    graph, result = capture(lambda: values + workspace)
    graph.replay()
    return is_wrong(result, 0.0)


def read_too_early() -> bool:
    """A race: a side stream writes the input, and the replay does not wait for it."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    values = torch.zeros(SIZE, device="cuda")
    graph, result = capture(lambda: values * 2)
    wrong = False
    for turn in range(4):
        torch.cuda.synchronize()
        with torch.cuda.stream(side):
            values.fill_(float(turn + 1))
        graph.replay()
        wrong |= is_wrong(result, 2.0 * (turn + 1))
    return wrong


def step(size: int, inputs: Any) -> Any:
    return (inputs[:size] @ inputs).relu() + 1


def work_soundly() -> bool:
    """Threads, streams, pinned buffers, graphs of one pool that share scratch, a recapture."""
    results: list[bool] = []

    def work(seed: int) -> None:
        stream, side = torch.cuda.Stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        generator = torch.Generator().manual_seed(seed)
        with torch.cuda.stream(stream):
            inputs = torch.zeros(64, 64, device="cuda")
            pinned = torch.zeros(64, 64).pin_memory()
            pool = torch.cuda.graph_pool_handle()
            for _ in range(2):
                with CAPTURES:
                    stream.synchronize()
                    graphs = [
                        capture(partial(step, size, inputs), pool=pool, stream=stream,
                                capture_error_mode="thread_local")
                        for size in (8, 64)
                    ]  # fmt: skip
                for graph, result in graphs:
                    values = torch.randint(0, 3, (64, 64), generator=generator).float()
                    stream.synchronize()
                    pinned.copy_(values)
                    with torch.cuda.stream(side):
                        side.wait_stream(stream)
                        inputs.copy_(pinned, non_blocking=True)
                    stream.wait_stream(side)
                    graph.replay()
                    wanted = ((inputs[: len(result)] @ inputs).relu() + 1).clone()
                    stream.synchronize()
                    results.append(not torch.equal(result, wanted))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(results) != 8 or any(results)


CAPTURES = threading.Lock()

#: Mechanism -> its program and the amplifier for it.
MECHANISMS: dict[str, tuple[Callable[[], bool], str]] = {
    "drop_input": (drop_input, "poison"),
    "grow_workspace": (grow_workspace, "poison"),
    "leave_tail": (leave_tail, "poison"),
    "read_too_early": (read_too_early, "delay"),
    "work_soundly": (work_soundly, "poison+canary+delay+compete+align+jitter"),
}


def count_wrong(name: str, amplifiers: str) -> str:
    """Return how many tries of a mechanism went wrong, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.pathsep.join(filter(None, (str(START), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path, "HARNESS_HOOK_FOLDER": folder}
        if amplifiers:
            environment["HARNESS_HOOK"] = f"amplify:{amplifiers}"
        done = subprocess.run(
            [sys.executable, __file__, name],
            env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        lines = [line for file in Path(folder).iterdir() for line in file.read_text().splitlines()]
    events = [line for line in lines if "hook_process" not in line]
    told = done.stdout.strip() or done.stderr[-600:]
    return told + "".join(f"\n    {line.strip()[:300]}" for line in events[:3])


def main() -> None:
    """Try all, or one mechanism in this process: its name, and then how many times."""
    if len(sys.argv) > 1:
        program, _ = MECHANISMS[sys.argv[1]]
        tries = int(sys.argv[2]) if len(sys.argv) > 2 else TRIES
        print(f"{sum(program() for _ in range(tries))} of {tries} wrong")
        return
    for name, (_, amplifiers) in MECHANISMS.items():
        plain, amplified = count_wrong(name, ""), count_wrong(name, amplifiers)
        print(f"{name}: plain {plain}; {amplifiers} {amplified}", flush=True)


if __name__ == "__main__":
    main()
