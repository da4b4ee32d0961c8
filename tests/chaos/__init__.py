"""Parts of a run are killed at seeded moments."""
