"""`harness capture-cost`: pool bytes and peak per capture order, each in a process of its own.

A fresh process per order and size, since an allocator keeps what an earlier capture reserved.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from harness.cluster.devices import choose_kind
from harness.core.backends import check_backend
from harness.core.capture import sizes_up_to
from harness.core.capture_cost import CaptureCost, read_cost
from harness.core.errors import UsageError
from harness.core.events import parse_line
from harness.core.exits import ExitCode
from harness.core.order import CaptureOrder, parse_order
from harness.core.suite import parse_suite, read_declarations
from harness.driver.preflight import locate_model
from harness.report.capture_cost import print_costs, write_costs_json

_LONGEST_REASON = 600


@dataclass(frozen=True, slots=True)
class CostOptions:
    """What was asked: `memory` in bytes, None for the device's own."""

    engine_args: Mapping[str, Any]
    orders: tuple[str, ...]
    sizes: tuple[int, ...]
    device: str
    memory: int | None
    timeout_s: float

    def __post_init__(self) -> None:
        for order in self.orders:
            if parse_order(order) is CaptureOrder.GATE:
                raise UsageError("--order gate: give the orders themselves; the gate picks one")
        if "tp" in self.engine_args and str(self.engine_args["tp"]) != "1":
            raise UsageError("capture-cost measures one rank: leave tp at 1")
        for size in self.sizes:
            sizes_up_to(size)


def suite_arguments(suite: str) -> dict[str, Any]:
    """What a suite's class declares of its engine. Raises UsageError where it is not one class."""
    ref = parse_suite(suite)
    declared = read_declarations(ref)
    classes = {n: one for n, one in declared.classes.items() if n in (ref.parts[:1] or (n,))}
    if len(classes) > 1:
        raise UsageError(f"{suite} has several classes: name one of {', '.join(classes)}")
    one = next(iter(classes.values()), declared.module)
    arguments: dict[str, Any] = dict(one.engine_args)
    for name in ("model", "draft_model"):
        if isinstance(arguments.get(name), str):
            arguments[name] = str(locate_model(arguments[name], ref.path).absolute())
    return arguments


def pick_device(asked: str) -> str:
    """`cpu` or `cuda`. Raises UsageError and NoDeviceError."""
    return choose_kind(asked)


def measure_costs(options: CostOptions, json_file: Path | None) -> int:
    """Measure every order at every size, print, and write the JSON. Answers the exit code."""
    _check(options)
    console = Console()
    costs: list[CaptureCost] = []
    for size in options.sizes:
        for order in options.orders:
            console.print(f"capturing up to batch size {size}, {order}", highlight=False)
            costs.append(_measure(options, order, size))
    if "recorded" in {cost.graphs for cost in costs}:
        console.print("recorded graphs: bytes of their arena on the CPU, not of CUDA memory")
    print_costs(console, costs, options.memory)
    if json_file is not None:
        text = json.dumps(
            write_costs_json(costs, options.memory, dict(options.engine_args)), indent=1
        )
        json_file.write_text(text + "\n", encoding="utf-8")
    return ExitCode.OK


def _check(options: CostOptions) -> None:
    if "model" not in options.engine_args:
        raise UsageError("capture-cost needs a SUITE or --model FOLDER")
    backend = options.engine_args.get("backend")
    if backend is not None:
        check_backend(str(backend), options.device)


def _measure(options: CostOptions, order: str, max_bs: int) -> CaptureCost:
    """One process's capture. Raises UsageError where it ended otherwise than with an answer."""
    arguments = {**options.engine_args, "order": order, "cuda_graph_bs": sizes_up_to(max_bs)}
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
        stdin.write(json.dumps(arguments).encode())
        stdin.seek(0)
        code, lines = _run_child(options, stdin, stderr)
        if code != 0:
            raise UsageError(
                f"capturing in order {order} up to batch size {max_bs}: {_explain(code, stderr)}"
            )
    seen = [event for line in lines if (event := parse_line(line)) is not None]
    return read_cost(order, max_bs, seen)


def _run_child(
    options: CostOptions, stdin: IO[bytes], stderr: IO[bytes]
) -> tuple[int, list[bytes]]:
    """Exit status (a signal's number negated) and the lines of the wire, read to their end."""
    reading, writing = os.pipe()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HARNESS_")}
    with open(reading, "rb") as events:  # noqa: PTH123 - a descriptor has no path
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "harness.engine.capture_cost"],
                stdin=stdin,
                stderr=stderr,
                pass_fds=(writing,),
                env={**kept, "HARNESS_EVENTS_FD": str(writing), "HARNESS_DEVICE": options.device},
            )
        finally:
            os.close(writing)
        timer = threading.Timer(options.timeout_s, process.kill)
        timer.start()
        try:
            lines = events.read().splitlines()
            return process.wait(), lines
        finally:
            timer.cancel()
            process.kill()
            process.wait()


def _explain(code: int, stderr: IO[bytes]) -> str:
    if code == -signal.SIGKILL:
        return "killed: it passed --timeout, or the machine ran out of memory"
    stderr.seek(0)
    said = stderr.read().decode(errors="replace").strip().splitlines()
    return said[-1][:_LONGEST_REASON] if said else f"exit status {code}"
