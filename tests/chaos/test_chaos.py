"""200 short attempts while parts of the run are killed: each is counted exactly once."""

from pathlib import Path

import pytest

from tests.chaos.chaos import Chaos


@pytest.mark.timeout(300)
def test_every_attempt_is_counted_once_and_none_differs_whatever_is_killed(tmp_path: Path) -> None:
    chaos = Chaos(tmp_path, attempts=200, seed=3)
    chaos.run(limit_s=280.0)
    damage = chaos.judge()
    assert {"rank", "keeper", "actor", "driver", "raylet"} <= set(damage.killed)
