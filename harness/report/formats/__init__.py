"""Files that a run can be written to. A format registers by its name in `registry`."""
