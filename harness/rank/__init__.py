"""What runs in the measured interpreter: keeper, entry, pytest plugin, wire.

Standard library and pytest only. `python DIR/harness/rank keeper ...` runs a trusted copy under any
interpreter, next to whatever `harness` that interpreter has installed.
"""
