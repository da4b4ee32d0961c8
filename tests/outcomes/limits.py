"""Uses more than it may."""

import os
import subprocess
import sys
import time


def test_memory() -> None:
    held = bytearray(200 << 20)
    held[:] = os.urandom(1) * len(held)
    time.sleep(20)


def test_processes() -> None:
    code = "import time; time.sleep(20)"
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(6)]
    for process in started:
        process.wait()


def test_modest() -> None:
    subprocess.run([sys.executable, "-c", "pass"], check=True)
