"""What the boundary around an attempt costs: the same attempts with and without it, alternating.

    python benchmarks/sandbox.py [--attempts 40]

Prints the median time of supervision beside pytest's own time, without and with the boundary, and
their difference. Asked: at most 30 ms per attempt.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from harness.attempt.sandbox import Sandbox
from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptSpec
from harness.attempt.supervise import Supervisor


def open_supervisor(sandbox: Sandbox, folder: Path) -> Supervisor:
    """Return a supervisor whose zygotes have imported pytest."""
    settings = SupervisorSettings(
        python=sys.executable,
        isolation="fork",
        cwd=folder,
        preload=("pytest",),
        attempts_per_zygote=1_000_000,
        sandbox=sandbox,
    )
    return Supervisor(settings)


def measure_attempt(supervisor: Supervisor, folder: Path, number: int) -> float:
    """Return the seconds of one attempt that pytest did not spend."""
    spec = AttemptSpec(
        run_id="benchmark",
        attempt_id=f"benchmark.{number}",
        nodeids=("test_nothing.py",),
        folder=folder / f"attempt{number}",
        python=sys.executable,
        cwd=folder,
        isolation="fork",
        caches="user",
    )
    record = supervisor.run(spec, lambda *_: None)
    if record.error or record.unconfined or record.exits[0].code != 0:
        raise SystemExit(f"the attempt did not pass: {record}")
    finish = next(event for _, event in record.events if event["event"] == "finish")
    return record.wall_seconds - float(finish["inside_seconds"])


def measure_both(attempts: int) -> tuple[list[float], list[float]]:
    """Return the seconds beside pytest without and with the boundary."""
    plain: list[float] = []
    confined: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        (folder / "protected").mkdir()
        wanted = Sandbox(choice="required", protected=(folder / "protected",))
        supervisors = [open_supervisor(one, folder) for one in (Sandbox(), wanted)]
        for number in range(attempts):
            for supervisor, found in zip(supervisors, (plain, confined), strict=True):
                seconds = measure_attempt(supervisor, folder, 2 * number + len(confined))
                found.append(seconds)
        for supervisor in supervisors:
            supervisor.close()
    return plain[1:], confined[1:]  # the first one waits for its zygote


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=40)
    plain, confined = measure_both(parser.parse_args().attempts)
    medians = [1000 * statistics.median(found) for found in (plain, confined)]
    print(
        f"{len(os.sched_getaffinity(0))} cores, {time.strftime('%Y-%m-%d')}, "
        f"{len(plain)} attempts each, medians beside pytest: without {medians[0]:.0f} ms, "
        f"with {medians[1]:.0f} ms, boundary {medians[1] - medians[0]:.0f} ms"
    )


if __name__ == "__main__":
    main()
