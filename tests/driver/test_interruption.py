"""End signals without Ray: what still lives below the driver is killed in time."""

import signal
import subprocess
import sys
import time

WAITS_FOR_A_CHILD_THAT_IGNORES_SIGNALS = """
import signal, subprocess
from harness.driver.interruption import end_on_signals

with end_on_signals() as interruption:
    signals = [signal.SIGINT, signal.SIGTERM]
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    child = subprocess.Popen(["sleep", "60"])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    try:
        print("ready", flush=True)
        child.wait()
    except KeyboardInterrupt:
        interruption.reported.set()
        print("first", flush=True)
        child.wait()
        print("stored", flush=True)
"""


def test_a_second_signal_ends_within_a_second_what_a_first_one_leaves_more_time() -> None:
    command = [sys.executable, "-c", WAITS_FOR_A_CHILD_THAT_IGNORES_SIGNALS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "first\n"
        since = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "stored\n"
        assert time.monotonic() - since < 1.0
