"""A suite's one spelling, which its seeds and its history follow from."""

import os
from pathlib import Path


def spell_suite(text: str) -> str:
    """Return a suite's name in its one spelling, so that `./a.py` has the seeds of `a.py`."""
    path, *parts = text.split("::")
    absolute = Path(os.path.normpath(Path.cwd() / path))
    inside = absolute.is_relative_to(Path.cwd())
    spelled = absolute.relative_to(Path.cwd()) if inside else absolute
    return "::".join((str(spelled), *parts))
