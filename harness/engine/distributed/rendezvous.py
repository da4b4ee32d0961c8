"""Where the ranks of one engine meet: a file that the supervisor names, or torchrun's store."""

from collections.abc import Mapping

from torch._C._distributed_c10d import FileStore, PrefixStore, Store
from torch.distributed.rendezvous import rendezvous


def open_store(environ: Mapping[str, str], serial: int, rank: int, size: int) -> Store:
    """Return the rendezvous store of this process's `serial`-th engine.

    A file beside `HARNESS_RENDEZVOUS` where that is set, else torchrun's own store.
    """
    path = environ.get("HARNESS_RENDEZVOUS")
    if path:
        return FileStore(f"{path}.{serial}", size)
    return PrefixStore(f"engine{serial}", open_torchrun_store(rank, size))


_torchrun_store: Store | None = None


def open_torchrun_store(rank: int, size: int) -> Store:
    """Return the store that torchrun's MASTER_ADDR and MASTER_PORT name, opened once."""
    global _torchrun_store
    if _torchrun_store is None:
        _torchrun_store = next(iter(rendezvous("env://", rank, size)))[0]
    return _torchrun_store
