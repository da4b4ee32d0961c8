"""The graph audit: what each pointer of a captured graph points to, before the graph is replayed.

`model.py` and `spans.py` are pure. The part that the hook begins is `parts/audit.py`.
"""
