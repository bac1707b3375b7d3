"""This machine: the native helper's typed face, memory in a memfd, what it allows.

native   the C helper, under its own names
memfd    page frames that real processes can map
limits   files that uemu may open, more than what it runs
syscalls names of system calls
doctor   can this machine trace? if not, why, and the remedy
"""
