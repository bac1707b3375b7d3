"""Run Python where ptrace(2) is forbidden, as in a container with a strict filter.

    python tests/live/no_ptrace.py -m pytest ...

A seccomp filter answers every ptrace call with EPERM. It needs no privilege
(PR_SET_NO_NEW_PRIVS), outlives exec, and binds all that is started from here.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from pathlib import Path

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
AUDIT_ARCH_X86_64 = 0xC000003E
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000
SYS_PTRACE = 101

LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
"""BPF_LD | BPF_W | BPF_ABS; BPF_JMP | BPF_JEQ | BPF_K; BPF_RET | BPF_K."""

ARCH, NUMBER = 4, 0
"""Offsets in struct seccomp_data."""

FILTER = (
    (LOAD, 0, 0, ARCH),
    (JUMP_IF_EQUAL, 0, 3, AUDIT_ARCH_X86_64),
    (LOAD, 0, 0, NUMBER),
    (JUMP_IF_EQUAL, 0, 1, SYS_PTRACE),
    (RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.EPERM),
    (RETURN, 0, 0, SECCOMP_RET_ALLOW),
)

SCRIPT = str(Path(__file__).resolve())


def forbid_ptrace() -> None:
    """Install the filter in the calling thread and whatever it starts."""
    program = b"".join(struct.pack("=HBBI", *line) for line in FILTER)
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a count, padding, a pointer
    fprog = struct.pack("=HxxxxxxQ", len(FILTER), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for args in (
        (PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1)),
        (PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), fprog),
    ):
        rest = [ctypes.c_ulong(0)] * (5 - len(args))
        if libc.prctl(*args, *rest) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    forbid_ptrace()
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
