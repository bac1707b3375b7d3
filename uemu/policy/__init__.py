"""The kernels: one policy a file, each beside its source.

A policy answers the questions of `uemu.mm.hooks` and nothing else. To add
one: write its file, name it in `registry`, write its test.
"""
