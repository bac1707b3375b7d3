"""Which system calls stop: seccomp filters, in stages.

What does not concern us runs at native speed. A number that no filter knows
is allowed without a look at anything but itself, which the kernel remembers
(a bitmap per filter, since Linux 5.11); of those it knows, the arguments are
tested in the kernel.

Stage 0 is there from the start: it notices the first O_DIRECT. Stage 1 comes
with it: direct I/O, changes of mappings, fork, and what must not show that
threads are stopped for those. Stage 2 comes when a page frame
is write-protected: everything that writes user memory.

Source: seccomp(2); linux/seccomp.h, linux/filter.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from uemu import abi
from uemu.live.program.outputs import WRITERS
from uemu.live.program.window import CONTROL_BASE

TRACE: Final = 0x7FF0_0000
ALLOW: Final = 0x7FFF_0000
AUDIT_ARCH_X86_64: Final = 0xC000_003E

_NR, _ARCH, _IP, _ARGS = 0, 4, 8, 16
_LD, _JEQ, _JSET, _JA, _AND, _RET = 0x20, 0x15, 0x45, 0x05, 0x54, 0x06


class Test(NamedTuple):
    """A test of the low half of an argument.

    Attributes:
        arg: which, from 0 on.
        mask: the bits that count.
        values: what they may be; empty: anything but 0.
    """

    arg: int
    mask: int
    values: tuple[int, ...] = ()


Rules = Mapping[int, tuple[Test, ...]]
"""A call's number to the tests that all must hold for it to stop."""

_ALWAYS: tuple[Test, ...] = ()
_DIRECT_SCALAR = (Test(1, 511, (0,)), Test(2, 511, (0,)), Test(2, ~511 & 0xFFFF_FFFF))
F_SETFL: Final = 4

FIRST: Final[Rules] = {
    abi.SYS_OPEN: (Test(1, abi.O_DIRECT),),
    abi.SYS_OPENAT: (Test(2, abi.O_DIRECT),),
    abi.SYS_OPENAT2: _ALWAYS,
    abi.SYS_FCNTL: (Test(1, 0xFFFF_FFFF, (F_SETFL,)), Test(2, abi.O_DIRECT)),
    abi.SYS_MADVISE: (Test(2, 0xFFFF_FFFF, (10, 11, 18, 19)),),
    abi.SYS_PROCESS_MADVISE: (Test(3, 0xFFFF_FFFF, (10, 11, 18, 19)),),
    abi.SYS_IO_SETUP: _ALWAYS,
    abi.SYS_IO_URING_SETUP: _ALWAYS,
    abi.SYS_VMSPLICE: _ALWAYS,
    abi.SYS_PROCESS_VM_READV: _ALWAYS,
    abi.SYS_PROCESS_VM_WRITEV: _ALWAYS,
    abi.SYS_PTRACE: _ALWAYS,
    abi.SYS_CLONE: (Test(0, abi.CLONE_UNTRACED),),
}

_SCALAR = (abi.SYS_READ, abi.SYS_WRITE, abi.SYS_PREAD64, abi.SYS_PWRITE64)
_LOOKED_AT = (
    *(abi.SYS_READV, abi.SYS_WRITEV, abi.SYS_PREADV, abi.SYS_PWRITEV),
    *(abi.SYS_PREADV2, abi.SYS_PWRITEV2),
    *(abi.SYS_IO_SUBMIT, abi.SYS_IO_GETEVENTS, abi.SYS_IO_PGETEVENTS),
    *(abi.SYS_IO_CANCEL, abi.SYS_IO_DESTROY),
    *(abi.SYS_MUNMAP, abi.SYS_MREMAP, abi.SYS_MPROTECT, abi.SYS_MADVISE, abi.SYS_BRK),
    *(abi.SYS_PKEY_MPROTECT, abi.SYS_PROCESS_MADVISE, abi.SYS_REMAP_FILE_PAGES),
    *(abi.SYS_FORK, abi.SYS_CLONE3),
    *(abi.SYS_IO_URING_ENTER, abi.SYS_IO_URING_REGISTER),
    *(abi.SYS_SCHED_SETAFFINITY, abi.SYS_SCHED_GETAFFINITY),
)

INTERRUPTED: Final = frozenset({43, 45, 47, 65, 128, 220, 232, 281, 288, 299, 441})
"""Calls that fail with EINTR whenever they are disturbed, and are not made again.

accept, recvfrom, recvmsg (with a timeout), semop, rt_sigtimedwait, semtimedop,
epoll_wait, epoll_pwait, accept4, recvmmsg, epoll_pwait2. Source: signal(7).
"""

DIRECT: Final[Rules] = {
    **dict.fromkeys(_SCALAR, _DIRECT_SCALAR),
    **dict.fromkeys((*_LOOKED_AT, *sorted(INTERRUPTED)), _ALWAYS),
    abi.SYS_MMAP: (Test(3, abi.MAP_FIXED),),
    abi.SYS_SHMAT: (Test(2, abi.SHM_REMAP),),
    abi.SYS_CLONE: (Test(0, abi.CLONE_VM, (0,)),),
}

PROTECTED: Final[Rules] = {
    nr: _ALWAYS
    for nr in sorted({*WRITERS, abi.SYS_RESTART_SYSCALL, abi.SYS_EXIT})
    if DIRECT.get(nr, FIRST.get(nr)) != _ALWAYS
}

STAGES: Final = (FIRST, DIRECT, PROTECTED)

PIPES: Final[Rules] = dict.fromkeys(
    (abi.SYS_READ, abi.SYS_READV, abi.SYS_SPLICE, abi.SYS_TEE), _ALWAYS
)
"""What takes bytes out of a pipe: for everybody, once a page has got into one."""

CLOSES: Final[Rules] = dict.fromkeys(
    (abi.SYS_CLOSE, abi.SYS_DUP2, abi.SYS_DUP3, abi.SYS_CLOSE_RANGE), _ALWAYS
)
"""What takes a descriptor away: for processes with rings of io_uring."""


def assemble(rules: Rules) -> bytes:
    """A filter program: struct sock_filter after struct sock_filter."""
    allow, trace = _ins(_RET, ALLOW), _ins(_RET, TRACE)
    blocks = {nr: _block(tests) for nr, tests in rules.items()}
    head = [_ins(_LD, _ARCH), _ins(_JEQ, AUDIT_ARCH_X86_64, 1, 0), allow, _ins(_LD, _NR)]
    # "jeq nr; ja its block" for each: 2 instructions, then what nobody knows.
    at = len(head) + 2 * len(blocks) + 1
    table: list[bytes] = []
    tail: list[bytes] = []
    for nr, block in blocks.items():
        here = len(head) + len(table)
        table += [_ins(_JEQ, nr, 0, 1), _ins(_JA, at - (here + 2))]
        tail += [*block, trace, allow]
        at += len(block) + 2
    return b"".join([*head, *table, allow, *tail])


def _block(tests: Iterable[Test]) -> list[bytes]:
    """Instructions that fall through to "trace", or jump over it to "allow"."""
    lines: list[tuple[int, int, str, str]] = [
        # What we make the program call ourselves is not the program's.
        (_LD, _IP + 4, "", ""),
        (_JEQ, CONTROL_BASE >> 32, "", "+3"),
        (_LD, _IP, "", ""),
        (_AND, 0xFFFF_F000, "", ""),
        (_JEQ, CONTROL_BASE & 0xFFFF_F000, "allow", ""),
    ]
    for test in tests:
        lines.append((_LD, _ARGS + 8 * test.arg, "", ""))
        if not test.values:
            lines.append((_JSET, test.mask, "", "allow"))
            continue
        lines.append((_AND, test.mask, "", ""))
        for i, value in enumerate(test.values):
            rest = len(test.values) - 1 - i
            lines.append((_JEQ, value, f"+{rest}" if rest else "", "" if rest else "allow"))
    end = len(lines)
    return [
        _ins(code, k, _jump(yes, i, end), _jump(no, i, end))
        for i, (code, k, yes, no) in enumerate(lines)
    ]


def _jump(where: str, here: int, end: int) -> int:
    """How far a jump goes: 0 to the next, or over the "trace" that follows the block."""
    if where == "allow":
        return end - here
    return int(where) if where else 0


def _ins(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, k)
