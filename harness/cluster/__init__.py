"""The devices of a run: Ray, one actor per device, gangs leased for attempts.

The driver never speaks to Ray itself. A process of its own, the broker, does, so that a part of
Ray that stops or aborts can be noticed, named and started again while the run goes on.
"""
