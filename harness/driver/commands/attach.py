"""`harness rerun ATTEMPT --pdb` and `--shell`: a person inside an attempt, at a terminal.

Nothing of it is stored: an attempt that somebody stopped and looked into measures nothing.
"""

import shlex
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.attempt.attached import run_debugger, run_shell
from harness.attempt.launch import make_suite_arguments
from harness.attempt.scratch import Scratch
from harness.attempt.spec import AttemptSpec
from harness.cluster.devices import Device
from harness.cluster.members import Gang, Member
from harness.core.errors import UsageError
from harness.core.records import AttemptRow
from harness.driver.attempts import make_spec
from harness.driver.context import RunContext
from harness.driver.descendants import kill_descendants
from harness.driver.processes import choose_environment
from harness.driver.rerunning import find_attempt, find_revisions, plan_again
from harness.driver.revisions.worktrees import hold_worktrees
from harness.report.terminal import print_line

_DAY_S = 86_400.0
#: The engine's own clocks: a rank that a person has stopped is late for all others.
_ENGINE_CLOCKS = {"barrier_timeout_s": _DAY_S, "collective_timeout_s": _DAY_S}


def attach_debugger(name: str, location: str | None) -> int:
    """Open pytest's debugger in the attempt, at its first failure. Return pytest's status."""
    return _attach(name, location, shell=False)


def attach_shell(name: str, location: str | None) -> int:
    """Open a shell in the attempt's environment. Return the shell's status."""
    return _attach(name, location, shell=True)


def _attach(name: str, location: str | None, *, shell: bool) -> int:
    option = "--shell" if shell else "--pdb"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            f"{option} needs a terminal, and standard input or output is none: "
            "leave it out, or run the command at a terminal"
        )
    row, context = find_attempt(name, location)
    revisions = find_revisions(row, context)
    environment = choose_environment(context.options, revisions).values
    with hold_worktrees(revisions), closing(Scratch()) as scratch:
        spec = _make_spec(row, context, scratch.path)
        if not shell and spec.kind != "pytest":
            raise UsageError(f"--pdb is pytest's, and this suite is a {spec.kind}: use --shell")
        _explain(spec, shell=shell)
        try:
            return _start(spec, environment, shell=shell)
        finally:
            kill_descendants()


def _start(spec: AttemptSpec, environment: Mapping[str, str], *, shell: bool) -> int:
    return run_shell(spec, environment) if shell else run_debugger(spec, environment)


def _make_spec(row: AttemptRow, context: RunContext, folder: Path) -> AttemptSpec:
    members = [
        Member(Device(context.device, name, "", index), "", row.node)
        for index, name in enumerate(row.devices)
    ]
    planned = plan_again(row, context)
    spec = make_spec(context, f"{row.id}.attached", planned, Gang(tuple(members)))
    clocks = _ENGINE_CLOCKS if spec.uses_engine else {}
    return replace(spec, folder=folder, axes={**clocks, **spec.axes}, in_process_reruns=0)


def _explain(spec: AttemptSpec, *, shell: bool) -> None:
    console = Console()
    where = ", ".join(spec.devices)
    what = "a shell" if shell else "pytest's debugger"
    text = f"{what} in {spec.attempt_id.removesuffix('.attached')} on {where}"
    print_line(console, f"{text}: no timeout runs, and nothing is stored", "bold")
    if shell:
        print_line(console, f"the tests: {shlex.join(_make_words(spec))}")


def _make_words(spec: AttemptSpec) -> list[str]:
    """Return the command that runs the attempt's suite by hand, ranks included."""
    arguments = make_suite_arguments(spec)
    if spec.kind == "command":
        return arguments
    module = ["-m", spec.kind, *arguments]
    if spec.tp == 1:
        return [spec.python, *module]
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", str(spec.tp)]
    return [spec.python, *torchrun, *module]
