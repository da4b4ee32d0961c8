import os

__version__ = os.environ.get("TEST_SGLANG_VERSION", "0.5.12")
