"""What the graph audit finds on CUDA graphs, and what it costs: `python -m benchmarks.gpu.audit`.

Each scenario runs in a process of its own, begun with the start-up hook as in an attempt. The
faulty ones leave a graph with memory that its owner gave up; what must be found is beside them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.gpu.audit_scenarios import SCENARIOS

START = Path(__file__).resolve().parents[2] / "harness" / "hook" / "start"


def run_scenario(name: str, hook: str = "audit") -> tuple[list[dict[str, Any]], float, int]:
    """Return the hook's lines, the seconds of the scenario, and the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        given = os.environ.get("PYTHONPATH")
        path = os.pathsep.join(filter(None, (str(START), str(START.parents[2]), given)))
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
    words = sum(one["words"] or 0 for one in audited)
    milliseconds = 1e3 * sum(one["seconds"] for one in audited)
    told = [
        f"{'ok   ' if ok else 'WRONG'} {name}: {seconds:.3f} s, without {plain:.3f} s, exit {code}",
        f"      {len(audited)} graphs, {words} words, {milliseconds:.1f} ms after captures",
        *(line for one in found[:4] for line in describe(one)),
    ]
    others = ("hook_audit", "hook_audited", "hook_process")
    told += [f"       {json.dumps(one)[:400]}" for one in lines if one["event"] not in others]
    print("\n".join(told), flush=True)
    return ok


def describe(found: dict[str, Any]) -> list[str]:
    """Return the lines of one finding."""
    facts = f"{found['parameter']}, {found['bytes']} bytes {found['what']}"
    what = f"{found['fault']} {found['ownership']}: {found['graph']} node {found['node']}"
    stacks = ("allocated", "freed", "owner", "writers")
    return [
        f"      {what} {found['kernel'][:70]} {facts}",
        *(f"        {key}: {' < '.join(found[key][:2])}" for key in stacks if found[key]),
    ]


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
    with ThreadPoolExecutor(4) as beside:
        results = beside.map(lambda name: show(name, SCENARIOS[name][1]), SCENARIOS)
        return 0 if all([*results]) else 1


if __name__ == "__main__":
    sys.exit(main())
