"""Runs the real command in a folder of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

OUTCOMES = Path(__file__).parents[1] / "outcomes"
COMMAND = [sys.executable, "-c", "from harness.cli.main import main; main()"]


@dataclass
class Done:
    """A finished command."""

    code: int
    out: str
    err: str
    run: dict[str, Any]


def clean_environ() -> dict[str, str]:
    hidden = ("CI", "HARNESS_", "RAY_", "PYTEST_")
    return {k: v for k, v in os.environ.items() if not k.startswith(hidden)} | {"COLUMNS": "100"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def harness(folder: Path) -> Callable[..., Done]:
    def call(*arguments: object, json_file: bool = False) -> Done:
        target = folder / "out.json"
        target.unlink(missing_ok=True)
        extra = ["--json", str(target)] if json_file else []
        done = subprocess.run(
            [*COMMAND, *map(str, arguments), *extra],
            cwd=folder,
            env=clean_environ(),
            capture_output=True,
            text=True,
            timeout=110,
        )
        run = json.loads(target.read_text()) if target.exists() else {}
        return Done(done.returncode, done.stdout, done.stderr, run)

    return call
