"""The flight recorders of NCCL's process groups: where they write, and reading them with no trust.

A recorder writes a pickle, which can name any function to call. Only plain values are read.
"""

import io
import os
import pickle
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from harness.attempt.captures import Captures
from harness.core.flight import LastCollective, read_record

_FILE, _PIPE = "flight-rank-", "flight-pipe-"
_MOST_BYTES = 32 << 20
_WAIT_SECONDS = 4.0
_LOOK_SECONDS = 0.1


def make_flight_environment(captures: Captures, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what makes torch write its record at a timeout, or when it is asked to.

    Nothing if the user has chosen a place.
    """
    prefix = f"{captures.folder}/{_FILE}"
    wanted = {
        "TORCH_FR_DUMP_TEMP_FILE": prefix,
        "TORCH_NCCL_DEBUG_INFO_TEMP_FILE": prefix,
        "TORCH_NCCL_DEBUG_INFO_PIPE_FILE": f"{captures.folder}/{_PIPE}",
        "TORCH_NCCL_DUMP_ON_TIMEOUT": "1",
    }
    return {} if wanted.keys() & environ.keys() else wanted


def request_records(captures: Captures, size: int) -> bool:
    """Ask every rank's recorder to write, wait a little, and tell whether one has written.

    torch reads the pipe in a thread of its own.
    """
    asked = [rank for rank in range(size) if captures.write_pipe(f"{_PIPE}{rank}.pipe", b"1\n")]
    deadline = time.monotonic() + _WAIT_SECONDS
    while asked and time.monotonic() < deadline:
        if all(captures.has_file(f"{_FILE}{rank}") for rank in asked):
            time.sleep(_LOOK_SECONDS)  # the last one may still be written
            break
        time.sleep(_LOOK_SECONDS)
    return any(captures.has_file(f"{_FILE}{rank}") for rank in range(size))


def read_records(captures: Captures, size: int) -> dict[int, list[LastCollective]]:
    """Return what each rank's recorder wrote; a rank without a readable record is left out."""
    found = {}
    for rank in range(size):
        fd = captures.open_file(f"{_FILE}{rank}")
        if fd is None:
            continue
        try:
            record = read_record(load_plainly(os.pread(fd, _MOST_BYTES, 0)))
        except (OSError, ValueError):
            continue
        finally:
            os.close(fd)
        if record:
            found[rank] = record
    return found


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, texts and containers; refuses everything that has a name."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"{module}.{name} in a flight record")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError(f"a persistent id {pid!r} in a flight record")


def load_plainly(data: bytes) -> Any:
    """Return the value of a pickle of plain values. Raise ValueError for any other data."""
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    except Exception as error:  # a hostile pickle may raise whatever it likes
        raise ValueError(f"no flight record: {error}") from error
