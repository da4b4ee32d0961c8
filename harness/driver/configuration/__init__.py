"""Suites and known flakes from `harness.toml` or `[tool.harness]` in `pyproject.toml`."""
