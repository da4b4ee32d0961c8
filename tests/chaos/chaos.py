"""Kill parts of a run at seeded moments, and prove that nothing is lost, doubled or left behind.

    python -m tests.chaos.chaos --attempts 2000 --seed 7

A cluster of two raylets with a token; a suite whose outcome follows from the attempt's seed, so
that what an undisturbed run would have found is known for each attempt. Ranks, keepers, actors,
the broker and the driver are killed by turns, the second raylet once. A killed driver's run is
resumed.
"""

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.cluster.local_cluster import LocalCluster
from tests.cluster.running import RunningHarness

SUITE = """
import os
import random

def test_flakes() -> None:
    assert random.Random(int(os.environ["HARNESS_SEED"])).random() >= 0.3
"""
TURNS = ("rank", "keeper", "actor", "rank", "driver", "actor", "keeper", "broker")


@dataclass
class Damage:
    """What was killed, and in the middle of which attempts."""

    killed: Counter[str] = field(default_factory=Counter)
    ranks_of: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Stored:
    """One attempt in the store."""

    id: str
    position: int
    status: str
    seed: int
    kind: str | None


class Chaos:
    """One run under attack, over as many drivers as it takes."""

    def __init__(self, folder: Path, attempts: int, seed: int) -> None:
        self._folder = folder
        self._attempts = attempts
        self._random = random.Random(seed)
        self._damage = Damage()
        self._left: set[psutil.Process] = set()
        (folder / "test_flakes.py").write_text(SUITE)
        (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:hypothesispytest\n")

    def run(self, limit_s: float) -> None:
        """Run to the end. Raise AssertionError if it takes longer."""
        deadline = time.monotonic() + limit_s
        with LocalCluster(self._folder) as cluster:
            cluster.add_node()
            arguments = self._make_arguments(cluster)
            while not self._drive(arguments, cluster, deadline):
                arguments = ["--resume", "latest", "--address", cluster.address]
            self._await_nothing_left(cluster)

    def judge(self) -> Damage:
        """Compare what is stored with what an undisturbed run would have stored."""
        valid = [one for one in self._read() if one.status in ("passed", "failed")]
        assert sorted(one.position for one in valid) == list(range(self._attempts))
        undisturbed = [one for one in valid if one.id not in self._damage.ranks_of]
        wrong = [one for one in undisturbed if one.status != _predict(one.seed)]
        assert wrong == [], f"unlike an undisturbed run: {wrong}; ranks of {self._damage.ranks_of}"
        hit = [one for one in valid if one.id in self._damage.ranks_of]
        assert all(one.status == "failed" or one.status == _predict(one.seed) for one in hit)
        return self._damage

    def _make_arguments(self, cluster: LocalCluster) -> list[object]:
        return [
            *("test_flakes.py", "--order", "ascending", "--tp", 1, "--slots", 2, "--seed", 11),
            *("--repeats", self._attempts, "--timeout", 20, "--replace-infra", 9),
            *("--relaunch", 9, "--address", cluster.address),
        ]

    def _drive(self, arguments: list[object], cluster: LocalCluster, deadline: float) -> bool:
        """Run one driver and strike now and then. Return whether it came to its end."""
        with RunningHarness(self._folder, arguments, cluster.environment()) as run:
            target = len(self._read()) + self._choose_distance()
            while run.lives:
                assert time.monotonic() < deadline, run.err.read_text()
                self._left |= set(run.find_all())
                if len(self._read()) >= target:
                    target += self._choose_distance()
                    if self._strike(run, cluster) == "driver":
                        return False
                time.sleep(0.05)
            # Incomplete: a part was lost more often than the run puts up with. It goes on.
            assert run.process.returncode in (0, 1, 3, 5), run.err.read_text()
            return run.process.returncode != 5 and not self._is_owed()

    def _choose_distance(self) -> int:
        return self._random.randint(self._attempts // 16, self._attempts // 8)

    def _is_owed(self) -> bool:
        done = {one.position for one in self._read() if one.status in ("passed", "failed")}
        return len(done) < self._attempts

    def _strike(self, run: RunningHarness, cluster: LocalCluster) -> str:
        done = sum(self._damage.killed.values())
        part = "raylet" if done == 5 else TURNS[done % len(TURNS)]
        self._damage.killed[part] += 1
        if part == "driver":
            run.process.kill()
        elif part == "raylet":
            cluster.kill_second_node()
        else:
            found = run.find("broker") if part == "broker" else cluster.find(part)
            if found:
                self._kill(self._random.choice(found), part)
        return part

    def _kill(self, process: psutil.Process, part: str) -> None:
        with suppress(psutil.NoSuchProcess):
            if part == "rank":
                # Between fork and exec a rank shows its keeper's environment, without the id.
                attempt = process.environ().get("HARNESS_ATTEMPT_ID")
                if attempt is None:
                    return
                self._damage.ranks_of.add(attempt)
            process.kill()

    def _read(self) -> list[Stored]:
        path = self._folder / ".harness" / "store.sqlite"
        if not path.exists():
            return []
        query = "select id, position, status, seed, kind from attempt"
        with closing(sqlite3.connect(path, timeout=5)) as store:
            try:
                return [Stored(*row) for row in store.execute(query)]
            except sqlite3.OperationalError:  # not made yet
                return []

    def _await_nothing_left(self, cluster: LocalCluster) -> None:
        """Fail if a broker, an actor, anything below one or a temporary folder outlives the run."""
        parts = ("actor", "keeper", "rank")
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            below = [one for part in parts for one in cluster.find(part)]
            drivers = [one for one in self._left if one.is_running() and one.status() != "zombie"]
            folders = list(cluster.temporary.iterdir())
            if not below and not drivers and not folders:
                return
            time.sleep(0.2)
        raise AssertionError(f"left behind: {below + drivers + folders}")


def _predict(seed: int) -> str:
    return "passed" if random.Random(seed).random() >= 0.3 else "failed"


def main() -> None:
    """Run once, as the options say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chaos = Chaos(Path(folder), options.attempts, options.seed)
        started = time.monotonic()
        chaos.run(options.limit)
        killed = dict(chaos.judge().killed)
        seconds = time.monotonic() - started
        sys.stdout.write(f"{options.attempts} attempts, killed {killed}, {seconds:.0f} s\n")


if __name__ == "__main__":
    main()
