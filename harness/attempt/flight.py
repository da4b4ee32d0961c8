"""The flight recorders of NCCL's process groups: where they write, and reading them with no trust.

A recorder writes a pickle, which can name any function to call. Only plain values are read.
"""

import io
import os
import pickle
import re
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from harness.attempt.captures import Captures
from harness.core.flight import LastCollective, read_record

_FILE, _PIPE = "flight-rank-", "flight-pipe-"
_FILES, _PIPES = (
    re.compile(rf"{name}(\d{{1,5}}){end}") for name, end in ((_FILE, ""), (_PIPE, r"\.pipe"))
)
_ENTRIES = "2000"
_MOST_RANKS = 64
_MOST_BYTES = 32 << 20
#: torch 2.11 imports torch._dynamo to name the frames of its record: seconds from a cold disk.
_WAIT_SECONDS = 20.0
_LOOK_SECONDS = 0.1


def make_flight_environment(captures: Captures, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what makes torch write its record at a timeout, or when it is asked to.

    Nothing if the user has chosen a place, or has switched the recorder off. torch makes the pipe
    only where the size is set: its default goes for the recorder alone (torch 2.11).
    """
    prefix = f"{captures.folder}/{_FILE}"
    wanted = {
        "TORCH_FR_DUMP_TEMP_FILE": prefix,
        "TORCH_NCCL_DEBUG_INFO_TEMP_FILE": prefix,
        "TORCH_NCCL_DEBUG_INFO_PIPE_FILE": f"{captures.folder}/{_PIPE}",
        "TORCH_NCCL_DUMP_ON_TIMEOUT": "1",
    }
    sizes = {"TORCH_FR_BUFFER_SIZE": _ENTRIES, "TORCH_NCCL_TRACE_BUFFER_SIZE": _ENTRIES}
    own = sizes.keys() & environ.keys()
    return {} if wanted.keys() & environ.keys() else {**wanted, **({} if own else sizes)}


def request_records(captures: Captures) -> list[str]:
    """Ask every rank's recorder to write, and wait a little. Return what was in the way.

    A thread of torch's own reads the pipe, once a second.
    """
    pipes = captures.list_matching(_PIPES, _MOST_RANKS)
    asked = [rank for rank, name in pipes.items() if captures.write_pipe(name, b"1\n")]
    if not asked:
        return [_explain_silence(pipes)]
    deadline = time.monotonic() + _WAIT_SECONDS
    while missing := [rank for rank in asked if not captures.has_file(f"{_FILE}{rank}")]:
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK_SECONDS)
    time.sleep(_LOOK_SECONDS)  # the last one may still be written
    return [
        f"the flight recorder of rank {rank} did not answer within {_WAIT_SECONDS:g} s: the rank "
        "may hold Python's lock"
        for rank in missing
    ]


def _explain_silence(pipes: Mapping[int, str]) -> str:
    if pipes:
        return "no flight recorder listens any more: the ranks have left their process groups"
    return (
        "no process had a flight recorder that can be asked: none had made a process group of "
        "NCCL, or the suite's own TORCH_NCCL_ or TORCH_FR_ variables direct it elsewhere"
    )


def read_records(captures: Captures) -> dict[int, list[LastCollective]]:
    """Return what each rank's recorder wrote; a rank without a readable record is left out."""
    found = {}
    for rank, name in captures.list_matching(_FILES, _MOST_RANKS).items():
        fd = captures.open_file(name)
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
