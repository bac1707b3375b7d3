"""Names of system calls for people, from python-ptrace, which knows them all."""

from __future__ import annotations


def name_of(number: int) -> str:
    """The name of an x86-64 system call: ``mmap``; or its number, if it has none.

    Imported when it is asked for: it takes longer than a machine to start.
    """
    from ptrace.syscall import SYSCALL_NAMES

    name: str = SYSCALL_NAMES.get(number, f"system call {number}")
    return name
