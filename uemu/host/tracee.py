"""The typed face of the helper's part for programs (``native/inject.c``, ``uemu_start``).

What a report says is copied into a `Stop`, since reports are kept for later.
Functions return -errno where they are hot; a thread that is gone is no error.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from uemu._native import ffi, lib
from uemu.host import native
from uemu.host.native import Event, spawn_error

SECCOMP: Final[int] = lib.UEMU_SECCOMP
RETURNS: Final[int] = lib.UEMU_RETURNS

CONT: Final[int] = lib.UEMU_CONT
TO_RETURN: Final[int] = lib.UEMU_TO_RETURN
ONE_STEP: Final[int] = lib.UEMU_ONE_STEP

EVENT_FORK: Final = 1
EVENT_VFORK: Final = 2
EVENT_CLONE: Final = 3
EVENT_EXEC: Final = 4
EVENT_VFORK_DONE: Final = 5


class Stop(NamedTuple):
    """A report that is kept, with the fields of struct uemu_event."""

    tid: int
    kind: int
    code: int
    addr: int
    ip: int
    msg: int
    nr: int
    args: tuple[int, ...]

    @property
    def is_end(self) -> bool:
        """Whether the thread is gone."""
        return self.kind in (native.EXITED, native.KILLED)

    @property
    def is_plain(self) -> bool:
        """Whether it stopped because it was asked to, or is newborn."""
        return self.kind == native.EVENT and self.code == native.EVENT_STOP and self.msg == SIGTRAP


SIGTRAP: Final = 5

resume: Callable[[int, int, int], int] = lib.uemu_resume
"""Let ``tid`` go on: how (CONT, TO_RETURN, ONE_STEP) and with which signal (0: none)."""

listen: Callable[[int], int] = lib.uemu_listen
interrupt: Callable[[int], int] = lib.uemu_interrupt
return_: Callable[[int, int], int] = lib.uemu_return
replay: Callable[[int], int] = lib.uemu_replay
again_if_ignored: Callable[[int, int], int] = lib.uemu_again_if_ignored
"""Let a thread make the call again that was interrupted for nothing; 1 if so.

By us, or by a signal (0: none) that does nothing.
"""

set_count: Callable[[int, int], int] = lib.uemu_set_count
"""Give the call of a stopped thread another second argument."""

not_again: Callable[[int, int], int] = lib.uemu_not_again
resumes: Callable[[int], int] = lib.uemu_resumes
block: Callable[[int, int], int] = lib.uemu_block
next_report: Callable[[Event, Any, int], int] = lib.uemu_next
"""Wait for a report that concerns us (`Ranges`); -1 ms: as long as it takes."""

ANY: Final[Any] = ffi.NULL
"""For `next_report`: any report concerns us."""

stop: Callable[[int, Event], int] = lib.uemu_stop
"""Ask a thread to stop; 1: it had stopped already, and the event says why."""

wait_for: Callable[[int, Event], int] = lib.uemu_wait_for
finish_exec: Callable[[int, Event], int] = lib.uemu_finish_exec
inject: Callable[[int, int, Event], int] = lib.uemu_inject

_NO_ARGS = (0,) * 6


class Ranges:
    """User addresses that calls which change mappings are looked at for.

    Attributes:
        struct: C: struct uemu_ranges.
    """

    def __init__(self) -> None:
        self.struct: Any = ffi.new("struct uemu_ranges *")

    def set(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Replace them, (first, one behind the last) each; too many become one."""
        if len(ranges) > lib.UEMU_MAX_RANGES:
            ranges = [(min(start for start, _ in ranges), max(end for _, end in ranges))]
        self.struct.count = len(ranges)
        for i, (start, end) in enumerate(ranges):
            self.struct.start[i], self.struct.end[i] = start, end


def stop_of(event: Event) -> Stop:
    """Copy a report."""
    kind = event.kind
    args = tuple(event.args) if kind == SECCOMP else _NO_ARGS
    return Stop(event.tid, kind, event.code, event.addr, event.ip, event.msg, event.nr, args)


def start(path: str, argv: Sequence[str], env: Sequence[str]) -> int:
    """Start a program of the user's, traced, stopped before its first instruction.

    Raises:
        HostError: ptrace is forbidden here, or no process can be had.
        OSError: the program cannot be executed (ENOENT, EACCES, ENOEXEC ...).
    """
    keep = [ffi.new("char[]", os.fsencode(text)) for text in (*argv, *env)]
    arguments = ffi.new("char *[]", [*keep[: len(argv)], ffi.NULL])
    environment = ffi.new("char *[]", [*keep[len(argv) :], ffi.NULL])
    pid: int = lib.uemu_start(os.fsencode(path), arguments, environment)
    if pid >= 0:
        return pid
    refused = spawn_error(path, -pid)
    if refused.what.startswith("start /") or refused.what == f"start {path}":
        raise OSError(-pid, os.strerror(-pid), path)
    raise refused


def syscall_of(tid: int) -> tuple[int, int, int] | None:
    """Number, first argument and stack pointer of the call a thread is in; None: it is gone."""
    nr, flags, sp = ffi.new("int64_t *"), ffi.new("uint64_t *"), ffi.new("uint64_t *")
    if lib.uemu_syscall_of(tid, nr, flags, sp):
        return None
    return nr[0], flags[0], sp[0]


def registers_of(tid: int) -> tuple[int, ...] | None:
    """The registers of a stopped thread in DWARF's order, rsp at 7, rip at 16; None: it runs."""
    values = ffi.new("uint64_t[]", lib.UEMU_NR_REGISTERS)
    return tuple(values) if lib.uemu_registers(tid, values) == 0 else None


def rseq_of(tid: int) -> tuple[int, int, int] | None:
    """Address, size and signature of a stopped thread's struct rseq; None: it has none.

    Not known before Linux 5.13. Source: ptrace(2), rseq(2).
    """
    area, size, signature = ffi.new("uint64_t *"), ffi.new("uint32_t *"), ffi.new("uint32_t *")
    if lib.uemu_rseq(tid, area, size, signature) or not area[0]:
        return None
    return area[0], size[0], signature[0]


def getfd(pid: int, fd: int, tid: int = 0) -> int:
    """A descriptor of our own for a process's open file, or -errno.

    Args:
        tid: a thread of it to ask, since its leader may be dead; 0: the leader.
    """
    own: int = lib.uemu_getfd(tid or pid, fd)
    if own == -errno.EINVAL and tid:
        own = lib.uemu_getfd(pid, fd)
    return own
