"""The supervisor's side of one attempt: keeper handle, launcher, watchdog. No torch, no Ray."""
