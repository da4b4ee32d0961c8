"""Fails three times in ten, as the attempt's seed decides."""

import os
import random


def test_flakes() -> None:
    assert random.Random(int(os.environ["HARNESS_SEED"])).random() >= 0.3
