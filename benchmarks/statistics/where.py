"""What every table states: the command, the machine, the interpreter and the date."""

import datetime
import os
import platform
import sys
from pathlib import Path


def header() -> str:
    """One line above a table."""
    command = " ".join(["python", "benchmarks/statistics/" + Path(sys.argv[0]).name, *sys.argv[1:]])
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"`{command}` on {os.cpu_count()} cores {_cpu()}, {python}, {datetime.date.today()}\n"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
