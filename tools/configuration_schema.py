"""Writes the JSON schema of the configuration: `python tools/configuration_schema.py`."""

import json
from pathlib import Path

from harness.driver.configuration.read import make_schema

PATH = Path(__file__).parents[1] / "harness/driver/configuration/harness.schema.json"


def format_schema() -> str:
    """Return the schema as the file has it."""
    return json.dumps(make_schema(), indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(format_schema())
