"""A command at a terminal of its own, and a person who answers it."""

import os
import pty
import select
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.cli.conftest import clean_environ


def talk(
    command: Sequence[str], typed: Sequence[tuple[str, str]], folder: Path, limit_s: float = 40.0
) -> tuple[int, str]:
    """Run a command; type each text once what stands before it was shown. Return code and text."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(command[0], [*command], {**clean_environ(), "SHELL": "/bin/sh"})
    shown, waiting, deadline = "", list(typed), time.monotonic() + limit_s
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 0.2)[0]:
                continue
            data = os.read(terminal, 1 << 16)
            shown += data.decode("utf-8", "replace")
            if waiting and waiting[0][0] in shown:
                os.write(terminal, waiting.pop(0)[1].encode())
    except OSError:  # the terminal's other end is closed: the command has ended
        pass
    else:
        os.kill(pid, signal.SIGKILL)
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown
