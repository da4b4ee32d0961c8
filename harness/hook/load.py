"""Loads the hook under a name of its own, from wherever this file lies, and begins it once.

The interpreter under test may have its own `harness`, which must not find ours in its place.
Every Python process of an attempt runs this: nothing is imported that it would not import anyway.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = "_harness_hook"


def begin(environ: Mapping[str, str]) -> None:
    """Begin the hook in this process, if HARNESS_HOOK asks for it; a second call does nothing."""
    if environ.get("HARNESS_HOOK") and _NAME not in sys.modules:
        package = type(sys)(_NAME)
        package.__path__ = [os.path.dirname(os.path.abspath(__file__))]  # noqa: PTH100, PTH120 - slow to load
        sys.modules[_NAME] = package
        __import__(f"{_NAME}.main")
        sys.modules[f"{_NAME}.main"].begin(environ)
