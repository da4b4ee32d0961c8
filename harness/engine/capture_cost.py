"""What `harness capture-cost` starts once per order and size: capture one engine, report, leave.

Reads the engine's arguments, a JSON object, from standard input; answers on the wire.
"""

import dataclasses
import json
import re
import sys

from harness.core.errors import HarnessError
from harness.core.kinds import Exc, Kind, classify_exception
from harness.engine.engine import Engine
from harness.rank import wire

#: An allocation by an extension on torch's stable ABI, which passes on that it failed and not why:
#: FlashAttention 3 near the end of a device's memory.
_ALLOCATION = re.compile(r'"aten::(new_)?(empty|zeros)\w*".*API call failed', re.S)


def main() -> int:
    """0 also where memory ran out: that is what was to be measured. 2 for a user's mistake."""
    try:
        with Engine.from_cell(json.loads(sys.stdin.read())) as engine:
            wire.emit("footprint", **dataclasses.asdict(engine.footprint))
    except (RuntimeError, MemoryError) as error:
        if not _is_about_memory(error):
            raise
        wire.emit("unfit", text=str(error).partition("\n")[0])
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _is_about_memory(error: Exception) -> bool:
    """Not only torch's own error: CUDA and extensions raise others where memory runs out."""
    types = tuple(cls.__name__ for cls in type(error).__mro__)
    kind = classify_exception(Exc(types, str(error)), in_setup=False)
    return kind is Kind.OUT_OF_MEMORY or _ALLOCATION.search(str(error)) is not None


if __name__ == "__main__":
    sys.exit(main())
