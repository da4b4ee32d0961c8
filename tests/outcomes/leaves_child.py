"""Leaves a process behind, in a session of its own."""

import os
import subprocess
import sys


def test_leaves_a_child() -> None:
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    os.write(int(os.environ["HARNESS_LOG_FD"]), f"child={child.pid}\n".encode())


def test_leaves_a_grandchild_and_waits() -> None:
    code = "import subprocess as s; s.Popen(['sleep', '600'], start_new_session=True)"
    subprocess.run([sys.executable, "-c", code], check=True)
    os.write(int(os.environ["HARNESS_LOG_FD"]), b"waiting\n")
    os.kill(os.getpid(), 19)
