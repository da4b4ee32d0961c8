"""The suites' own folder is importable here, as their conftest makes it for them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "suites"))
