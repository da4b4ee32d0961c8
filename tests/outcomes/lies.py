"""Prints a summary of success, then fails."""

import os


def test_lies() -> None:
    os.write(int(os.environ["HARNESS_LOG_FD"]), b"===== 5 passed in 0.1s =====\n")
    raise AssertionError("the summary above is a lie")
