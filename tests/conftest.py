"""What every test starts from: a state folder of its own, also if the tests run in a CI job."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.core.ci import PROVIDERS
from harness.driver.state import STATE_VARIABLE


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what runs of revisions leave out of the user's own state folder."""
    home = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(home))
        patch.delenv(STATE_VARIABLE, raising=False)
        for provider in PROVIDERS:
            if provider.temporary:
                patch.delenv(provider.temporary, raising=False)
        yield home
