"""The devices of a run: Ray, one actor per device, gangs leased for attempts."""
