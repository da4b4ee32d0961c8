"""Amplifiers: one module each. `parts/amplify.py` begins those that the attempt asks for.

Each must leave sound code sound: memory is taken from its allocator before anything is written to
it, waits end by themselves, and nothing is launched that the suite did not launch, but for fills of
memory taken so and work on streams of our own.
"""
