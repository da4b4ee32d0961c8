"""Run a command on a terminal of its own, and save what it printed as a picture (SVG).

    python tools/record_run.py docs/run.svg -- harness run suites/faults/test_stale_buffer.py

Standard output is a pseudo-terminal, so that the command prints as it does for a person. Progress,
which goes to standard error, passes through to this terminal and is not in the picture.
"""

import argparse
import fcntl
import io
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROWS = 60
#: Rich's picture without its web fonts: a reader's own monospace font draws it.
PICTURE = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def open_terminal(columns: int) -> tuple[int, int]:
    """Return both ends of a pseudo-terminal of that width: ours, the command's."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    return ours, theirs


def capture_output(command: list[str], columns: int) -> str:
    """Run the command and return what it printed, colours included, whatever its exit status."""
    ours, theirs = open_terminal(columns)
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(columns)}
    with subprocess.Popen(command, stdout=theirs, env=environment):
        os.close(theirs)
        return b"".join(iter(lambda: read_chunk(ours), b"")).decode(errors="replace")


def read_chunk(terminal: int) -> bytes:
    """Return the next bytes of a terminal; none once the last process has closed its end."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux reports EIO for a terminal that nobody holds open any more.
        return b""


def draw(command: list[str], output: str, columns: int) -> str:
    """Return the command line and its output as an SVG of a terminal."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {shlex.join(command)}", style="bold"), soft_wrap=True)
    console.print(Text.from_ansi(output.replace("\r\n", "\n").rstrip()), soft_wrap=True)
    return console.export_svg(title=command[0], code_format=PICTURE, unique_id="run")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    output = capture_output(options.command, options.columns)
    sys.stdout.write(output)
    options.picture.write_text(draw(options.command, output, options.columns), encoding="utf-8")


if __name__ == "__main__":
    main()
