"""A suite that starts Python processes which no hook reaches."""

import subprocess
import sys


def test_a_child_without_the_environment() -> None:
    subprocess.run([sys.executable, "-I", "-c", "import time; time.sleep(0.7)"], check=True)
