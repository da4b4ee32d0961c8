"""One file per command: what the command does, from its options to its exit code."""
