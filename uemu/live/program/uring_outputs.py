"""Which user memory the kernel may write for a submission queue entry that is left to it.

Each operation writes what the system call of its name writes.

Not modelled: what is written long after, where a fork write-protects it meanwhile;
buffers that are provided in advance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from uemu import abi as linux
from uemu.live.program import uring_abi as abi
from uemu.live.program.outputs import Peek, Range, writes_of
from uemu.live.program.uring_abi import Sqe

_RECVFROM, _RECVMSG, _ACCEPT4, _STATX, _EPOLL_WAIT = 45, 47, 288, 332, 232

CALLS: Final[dict[int, Callable[[Sqe], tuple[int, tuple[int, ...]]]]] = {
    abi.READ: lambda sqe: (linux.SYS_READ, (0, sqe.addr, sqe.len, 0, 0, 0)),
    abi.READV: lambda sqe: (linux.SYS_READV, (0, sqe.addr, sqe.len, 0, 0, 0)),
    abi.RECV: lambda sqe: (_RECVFROM, (0, sqe.addr, sqe.len, 0, 0, 0)),
    abi.RECVMSG: lambda sqe: (_RECVMSG, (0, sqe.addr, 0, 0, 0, 0)),
    abi.ACCEPT: lambda sqe: (_ACCEPT4, (0, sqe.addr, sqe.off, 0, 0, 0)),
    abi.STATX: lambda sqe: (_STATX, (0, 0, 0, 0, sqe.off, 0)),
    abi.EPOLL_WAIT: lambda sqe: (_EPOLL_WAIT, (0, sqe.addr, sqe.len, 0, 0, 0)),
}
"""IORING_OP_* to that call, and its arguments as far as they tell what is written."""


def writes_of_entry(sqe: Sqe, peek: Peek) -> list[Range]:
    """Ranges, as `outputs.writes_of` has them."""
    call = CALLS.get(sqe.opcode)
    return writes_of(*call(sqe), peek) if call is not None else []
