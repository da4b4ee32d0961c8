"""The progress bar of capture: rank 0 alone draws it, past pytest's capture of descriptors."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TextIO

from tqdm import tqdm

GB = 1 << 30


class CaptureProgress:
    """Draws on the descriptor that HARNESS_LOG_FD names, else on standard error."""

    def __init__(self, rank: int, environ: Mapping[str, str]) -> None:
        self._drawn = rank == 0
        self._log_fd = environ.get("HARNESS_LOG_FD")

    def track(self, sizes: Sequence[int], free_bytes: Callable[[], int]) -> Iterator[int]:
        """Yield the batch sizes, each shown with the free memory just before its capture."""
        if not self._drawn:
            yield from sizes
            return
        stream = self._open()
        try:
            with tqdm(sizes, file=stream, leave=True) as bar:
                for bs in bar:
                    free = free_bytes() / GB
                    bar.set_description(f"Capturing batches (bs={bs} avail_mem={free:.2f} GB)")
                    yield bs
        finally:
            if stream is not sys.stderr:
                stream.close()

    def _open(self) -> TextIO:
        if self._log_fd is None:
            return sys.stderr
        return os.fdopen(os.dup(int(self._log_fd)), "w", buffering=1)
