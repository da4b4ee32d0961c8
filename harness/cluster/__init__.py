"""The devices of a run: Ray, one actor per device, gangs leased for attempts."""

import os

# Ray reads it once, as it is imported: set later it has no effect.
os.environ.setdefault("RAY_AUTH_MODE", "token")
