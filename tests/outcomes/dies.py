"""Ends the process in several ways that no report can tell of."""

import ctypes
import os


def test_passes_before() -> None:
    pass


def test_segfaults() -> None:
    ctypes.string_at(0)


def test_leaves_with_success() -> None:
    os._exit(0)


def test_prints_a_summary_and_leaves() -> None:
    os.write(int(os.environ["HARNESS_LOG_FD"]), b"== 5 passed in 0.1s ==\n")
    os._exit(0)
