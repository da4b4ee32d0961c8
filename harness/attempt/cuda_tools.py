"""Where NVIDIA's own tools are: on PATH, or where CUDA is installed."""

import os
import shutil
from pathlib import Path

_FOLDERS = ("/usr/local/cuda", "/opt/cuda")


def find_cuda_tool(name: str) -> str | None:
    """Return the path of a tool of the CUDA toolkit; None without one."""
    homes = [os.environ[one] for one in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(one)]
    places = [f"{home}/{below}/{name}" for home in (*homes, *_FOLDERS) for below in ("bin", name)]
    found = shutil.which(name)
    return found or next(
        (path for path in places if Path(path).is_file() and os.access(path, os.X_OK)), None
    )
