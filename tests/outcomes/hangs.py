"""Hangs: one ends at SIGTERM, the other ignores it."""

import signal
import time


def test_sleeps() -> None:
    time.sleep(600)


def test_sleeps_and_ignores_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
