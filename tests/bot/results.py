"""What a measuring job leaves: a run.json, and the artifact that holds it."""

import io
import json
import zipfile
from typing import Any

from tests.bot.github_samples import REPOSITORY
from tests.bot.workplace import HEAD, RUN, Workplace
from tests.report.runs import ASCENDING, make_report, write_object

SUITE, SEED = "suites/test_a.py", 7


def result(failed: int = 12, *, shas: tuple[str, ...] = (HEAD,), **more: Any) -> dict[str, Any]:
    """A run.json as the measuring job of this workflow run leaves it."""
    run: dict[str, Any] = write_object(make_report({ASCENDING: failed}, **more))
    run["run"]["ci"] = {
        "provider": "github",
        "repository": REPOSITORY,
        "run_id": str(RUN),
        "run_attempt": "1",
    }
    run["run"]["revisions"] = [
        {"rev": sha[:8], "named": sha, "sha": sha, "python": "python3", "folder": "", "notes": []}
        for sha in shas
    ]
    run["run"]["sha"] = run["run"]["dirty"] = None
    run["run"]["seed"] = SEED
    for cell in run["cells"]:
        cell["suite"] = SUITE
    return run


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", ".").replace("_slash_", "/"), text)
    return file.getvalue()


def leave(place: Workplace, run: Any = None, *, archive: bytes | None = None, **listed: Any) -> int:
    """The measuring job uploads its result. Answers the artifact's id."""
    text = json.dumps(result() if run is None else run).encode()
    made = place.github.new_id()
    place.github.archives[made] = zipped(run__json=text) if archive is None else archive
    size = len(place.github.archives[made])
    artifact = {"id": made, "name": "run-json", "size_in_bytes": size, "expired": False} | listed
    place.github.artifacts.setdefault(RUN, []).append(artifact)
    return made
