"""Replaces pytest's capture by its own: streams that go to descriptor 2, and no manager."""

import os
import sys

import pytest


class _Stream:
    encoding, errors = "utf-8", "strict"

    def write(self, text: str) -> int:
        return os.write(2, text.encode())

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


def pytest_configure(config: pytest.Config) -> None:
    manager = config.pluginmanager.getplugin("capturemanager")
    manager.stop_global_capturing()
    config.pluginmanager.unregister(manager)
    sys.stdout = sys.stderr = _Stream()
