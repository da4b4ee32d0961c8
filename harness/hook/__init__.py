"""The start-up hook: begun in every Python process of an attempt. `main.py` states its interface.

It runs inside the measured interpreter, under the name `_harness_hook`: standard library only, and
nothing else of harness.
"""
