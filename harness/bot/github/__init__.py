"""All that knows GitHub: its API, its events, and the environment of its jobs."""
