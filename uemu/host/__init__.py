"""This machine: the native helper's typed face, memory in a memfd, what it allows.

native   the C helper, under its own names
memfd    page frames that real processes can map
syscalls names of system calls
doctor   can this machine trace? if not, why, and the remedy
"""
