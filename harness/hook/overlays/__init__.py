"""What is patched to turn an engine's capture order, one module for each engine.

An overlay is data as far as possible: the versions whose published sources it was tested with, the
modules that it patches, and the code that it expects there.
"""
