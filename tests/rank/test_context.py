"""The context that a thread makes for a rank on a GPU; the driver here notes what it is asked."""

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import pytest

from harness.rank import context


class NotingDriver:
    """Stands for libcuda; `cuInit` answers what it was made with."""

    def __init__(self, answer: int = 0) -> None:
        self.asked: list[str] = []
        self._answer = answer

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*_: Any) -> int:
            self.asked.append(name)
            return self._answer if name == "cuInit" else 0

        return call


def open_with(driver: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    context.open_context()
    for thread in threading.enumerate():
        if thread.name == "harness-context":
            thread.join()


def test_the_first_visible_gpus_primary_context_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = NotingDriver()
    open_with(driver, monkeypatch)
    assert driver.asked == ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain"]


def test_a_driver_that_fails_is_left_to_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = NotingDriver(answer=100)
    open_with(driver, monkeypatch)
    assert driver.asked == ["cuInit"]
