"""Which user memory a system call writes: x86-64 Linux, by number and arguments.

The kernel cannot write where a page frame is write-protected: a call that
tries fails with EFAULT, no fault reaches the tracer. So the tracer asks here
when the call is entered, and breaks copy-on-write for what it is told.

outputs_rules     the words of the tables
outputs_files     reading, descriptors, files, events
outputs_net       sockets and messages
outputs_process   processes, memory, signals, time
outputs_requests  calls that do many things: ioctl, fcntl, prctl, futex, shmctl ...

The ranges are what a call *may* write: a read that comes short writes less.

Not modelled: what ptrace and bpf write; pointers inside the structures of ioctl, but for
    SIOCGIFCONF; what is written when nothing was called: signal frames, struct rseq,
    and what `tids` tells of. A restart_syscall writes what the call that it restarts
    was going to write. The memory of others is the affair of `remote`.
"""

from __future__ import annotations

from collections.abc import Sequence

from uemu.abi import USER_END
from uemu.live.program.outputs_files import FILES
from uemu.live.program.outputs_net import NET
from uemu.live.program.outputs_process import PROCESS
from uemu.live.program.outputs_requests import REQUESTS
from uemu.live.program.outputs_rules import MAX_RW_COUNT, Peek, Range

__all__ = ["CALLS", "WRITERS", "Peek", "Range", "writes_of"]

CALLS = {row.number: row for row in (*FILES, *NET, *PROCESS, *REQUESTS)}
"""Number to row, of all calls that may write user memory."""

WRITERS = frozenset(CALLS)
"""Their numbers: the calls to stop at."""


def writes_of(nr: int, args: Sequence[int], peek: Peek) -> list[Range]:
    """The user memory that a call may write.

    A pointer that leads nowhere is the kernel's to refuse: what can be found
    without it is returned.

    Args:
        nr: the number of the call.
        args: its six arguments, as in the registers.
        peek: reads the caller's memory; may raise OSError or return less.

    Returns:
        Ranges, none of them NULL, empty or longer than MAX_RW_COUNT; they may overlap.
    """
    called = CALLS.get(nr)
    if called is None:
        return []
    registers = [arg & (1 << 64) - 1 for arg in args]
    return [
        (addr, min(length, MAX_RW_COUNT, USER_END - addr))
        for out in called.outs
        for addr, length in out(registers, peek)
        if 0 < addr < USER_END and length > 0
    ]
