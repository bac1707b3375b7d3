"""Measurements, each a ratio of two figures taken in one run: python -m tests.bench.

Nothing here is a test: a machine under load is slow, not wrong.
"""
