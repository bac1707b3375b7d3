"""The memory an execve needs, laid out in one page of a puppet."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Mapping, Sequence

from uemu.abi import PAGE_SIZE, SYS_EXECVE, SYS_FCNTL, SYS_RT_SIGACTION, SYS_SCHED_SETAFFINITY
from uemu.host.native import Call

SIGCHLD = 17
F_SETFD, FD_CLOEXEC = 2, 1
SIGACTION_BYTES = 32
MASK_BYTES = 128
HEAD = SIGACTION_BYTES + MASK_BYTES

OURS = (3, 4)
"""Descriptors of a puppet that no program may inherit."""


class ExecBlock:
    """A program, its arguments and environment, as bytes at an address.

    First a zeroed sigaction, which puts SIGCHLD back to its default (puppets
    ignore it), then a mask of all CPUs, then the pointers, then the strings.

    Attributes:
        program: what was asked for.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        if isinstance(argv, str):
            raise TypeError(f"argv is a list of arguments, not a string: {argv!r}")
        if not argv:
            raise ValueError("a program is needed: argv is empty")
        self.program = argv[0]
        path = shutil.which(argv[0]) or argv[0]
        texts = [path, *argv, *(f"{name}={value}" for name, value in env.items())]
        if any("\0" in text for text in texts):
            raise ValueError("an argument has an embedded null character")
        self._strings = [os.fsencode(text) + b"\0" for text in texts]
        self._nr_args = len(argv)
        self._pointers = HEAD
        self._text = HEAD + 8 * (len(texts) - 1 + 2)
        size = self._text + sum(map(len, self._strings))
        if size > PAGE_SIZE:
            raise ValueError(f"arguments and environment take {size} bytes, a page is the most")

    def laid_out_at(self, addr: int) -> bytes:
        """The bytes, for the address they are going to have."""
        at, where = addr + self._text, []
        for string in self._strings:
            where.append(at)
            at += len(string)
        _, *rest = where
        pointers = [*rest[: self._nr_args], 0, *rest[self._nr_args :], 0]
        packed = struct.pack(f"<{len(pointers)}Q", *pointers)
        return bytes(SIGACTION_BYTES) + b"\xff" * MASK_BYTES + packed + b"".join(self._strings)

    def calls(self, addr: int) -> list[Call]:
        """The system calls that become the program."""
        argv = addr + self._pointers
        envp = argv + 8 * (self._nr_args + 1)
        return [
            (SYS_RT_SIGACTION, SIGCHLD, addr, 0, 8, 0, 0),
            (SYS_SCHED_SETAFFINITY, 0, MASK_BYTES, addr + SIGACTION_BYTES, 0, 0, 0),
            *((SYS_FCNTL, fd, F_SETFD, FD_CLOEXEC, 0, 0, 0) for fd in OURS),
            (SYS_EXECVE, addr + self._text, argv, envp, 0, 0, 0),
        ]
