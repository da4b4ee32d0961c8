"""The picture of a run shows what a command prints on a terminal, and loads nothing."""

import re
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import PROJECT

PRINTS = "import sys; print('\\033[1mtty', sys.stdout.isatty(), '\\033[0m'); print('é' * 300)"


def test_a_picture_shows_a_command_and_what_it_prints_on_a_terminal(tmp_path: Path) -> None:
    picture = tmp_path / "run.svg"
    tool = PROJECT / "tools" / "record_run.py"
    command = [sys.executable, str(tool), str(picture), "--", sys.executable, "-c", PRINTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    drawn = picture.read_text(encoding="utf-8").replace("&#160;", " ")
    assert "tty True" in drawn
    assert "é" * 90 in drawn
    assert "@font-face" not in drawn


def test_the_picture_in_the_readme_loads_nothing() -> None:
    drawn = (PROJECT / "docs" / "run.svg").read_text(encoding="utf-8")
    assert "ascending" in drawn.replace("&#160;", " ")
    assert re.findall(r"(?:url\(|href=|src=)[\"']?https?:", drawn) == []
