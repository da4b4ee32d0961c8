"""Measures how often CUDA-graph-capture tests fail, of what, and what the failures depend on."""
