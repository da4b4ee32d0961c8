"""One module for each part: `harness/hook/main.py` says what a part is."""
