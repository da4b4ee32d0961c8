"""The folder that stands first on PYTHONPATH of an attempt; Python imports `sitecustomize` there.

Nothing else may lie here: tests could import it by accident.
"""
