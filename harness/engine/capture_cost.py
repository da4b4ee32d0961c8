"""What `harness capture-cost` starts once per order and size: capture one engine, report, leave.

Reads the engine's arguments, a JSON object, from standard input; answers on the wire.
"""

import dataclasses
import json
import sys

import torch

from harness.core.errors import HarnessError
from harness.engine.engine import Engine
from harness.rank import wire


def main() -> int:
    """0 also where memory ran out: that is what was to be measured. 2 for a user's mistake."""
    try:
        with Engine.from_cell(json.loads(sys.stdin.read())) as engine:
            wire.emit("footprint", **dataclasses.asdict(engine.footprint))
    except (torch.OutOfMemoryError, MemoryError) as error:
        wire.emit("unfit", text=str(error).partition("\n")[0])
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
