"""Devices and zygotes are named if failures follow them, and seldom if failures are merely slow."""

import heapq

import numpy as np
import pytest

from harness.stats.contrasts import Comparison, Contrast, Finding
from harness.stats.intervals import Interval
from harness.stats.replay import LeaseLog, Origin, replay_leases
from harness.stats.wording import describe_contrast

GANGS, PER_ZYGOTE = 8, 10


def simulate(
    rng: np.random.Generator, attempts: int, rate: float, fails_s: float, bad: int | None = None
) -> tuple[list[bool], list[tuple[int, int]], LeaseLog]:
    """Lease attempts of two cells to whichever device is free; one device may be bad."""
    free = [(0.0, gang) for gang in range(GANGS)]
    served = [0] * GANGS
    failed, zygotes, seconds = [], [], []
    for _ in range(attempts):
        at, gang = heapq.heappop(free)
        fails = bool(rng.random() < (0.6 if gang == bad else rate))
        took = fails_s if fails else 3.0
        failed.append(fails)
        zygotes.append((gang, served[gang] // PER_ZYGOTE))
        seconds.append(took)
        served[gang] += 1
        heapq.heappush(free, (at + took, gang))
    devices = [gang for gang, _ in zygotes]
    cells = [i % 2 for i in range(attempts)]
    return failed, zygotes, LeaseLog(cells, seconds, devices, PER_ZYGOTE)


@pytest.mark.parametrize("origin", [Origin.ZYGOTE, Origin.GANG])
def test_slow_failures_alone_seldom_name_a_device_or_zygote(origin: Origin) -> None:
    """With 300 s against 3 s, permutations over fixed sizes had p <= 0.05 in 58 and 29 %."""
    rng = np.random.default_rng(8)
    small = 0
    for _ in range(50):
        failed, zygotes, log = simulate(rng, 120, 0.05, 300.0)
        levels = zygotes if origin is Origin.ZYGOTE else list(log.gangs)
        small += replay_leases(failed, log).compute_p(levels, origin) <= 0.05
    assert small <= 7


def test_a_bad_device_is_found() -> None:
    rng = np.random.default_rng(9)
    found = 0
    for _ in range(10):
        failed, _, log = simulate(rng, 200, 0.05, 3.0, bad=3)
        p = replay_leases(failed, log).compute_p(list(log.gangs), Origin.GANG)
        found += p <= 0.01
    assert found >= 8


def test_the_direction_is_that_of_the_evidence_that_decided() -> None:
    counts = Comparison(7, 50, 20, 50, Interval(-0.4, -0.1, 0.95, "x"), 0.01, "e-process")
    drifted = Contrast("d", "a", "", counts, 0.01, Finding.DIFFERENT, arm_is_worse=True)
    assert "d fails more often than a" in describe_contrast(drifted)
