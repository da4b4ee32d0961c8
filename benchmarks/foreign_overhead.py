"""What harness adds to an attempt of a suite that starts its own server: `python FILE [REPEATS]`.

The suite is tests/outcomes/server/serves.py: unittest, a server process with a worker, HTTP. By
hand it is `python -m pytest FILE`, in turn with attempts of `harness run`, on an idle machine. The
limit is 0.5 s per attempt.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUITE = Path(__file__).parents[1] / "tests/outcomes/server/serves.py"
HARNESS = [sys.executable, "-c", "from harness.cli.main import main; main()"]
LIMIT_S = 0.5


def time_by_hand() -> float:
    """Return the seconds of the suite's own command."""
    env = {**os.environ, "HARNESS_PORT": "19876"}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(SUITE)],
        cwd=SUITE.parent, env=env, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - start


def time_attempts(repeats: int, folder: Path) -> float:
    """Return the median seconds of an attempt, from its start until nothing of it is left."""
    report = folder / "run.json"
    subprocess.run(
        [*HARNESS, "run", str(SUITE), "--repeats", str(repeats), "--slots", "1", "--isolation",
         "spawn", "--device", "cpu", "--json", str(report)],
        cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    (cell,) = json.loads(report.read_text())["cells"]
    return float(cell["seconds"])


def main() -> None:
    """Print both medians, and what harness adds."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    time_by_hand()  # compiles what Python caches
    by_hand, measured = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(3):
            by_hand += [time_by_hand() for _ in range(repeats // 3)]
            measured.append(time_attempts(repeats // 3, Path(folder)))
    hand, ours = statistics.median(by_hand), statistics.median(measured)
    verdict = "holds" if ours - hand <= LIMIT_S else "broken"
    print(f"by hand {hand:.2f} s, harness {ours:.2f} s per attempt: {ours - hand:+.2f} s "
          f"(limit {LIMIT_S} s {verdict})")  # fmt: skip


if __name__ == "__main__":
    main()
