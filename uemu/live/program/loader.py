"""What every program gets before its first instruction: the stub, the window, the filters."""

from __future__ import annotations

import errno
import os
import struct

from uemu.abi import (
    MAP_FIXED_NOREPLACE,
    MAP_NORESERVE,
    PAGE_SIZE,
    PROT_EXEC,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    SYS_CLOSE,
    SYS_MMAP,
    SYS_OPENAT,
    SYS_PRCTL,
    SYS_SECCOMP,
)
from uemu.host import native
from uemu.host.memfd import MemfdFrames
from uemu.host.tracee import syscall_of
from uemu.live.area import Area, Areas, Slot
from uemu.live.program.filters import CLOSES, PIPES, STAGES, assemble
from uemu.live.program.tasks import Task
from uemu.live.program.tracees import TaskGone, Tracees
from uemu.live.program.window import CONTROL_BASE, WINDOW_BASE

SYSCALL_INT3 = 0xCC050F
AT_FDCWD = -100 & (1 << 64) - 1
SHARED_NOREPLACE = 0x01 | MAP_FIXED_NOREPLACE
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_TSYNC = 1
CLASS_32_BIT = 1


class NotLoaded(Exception):
    """The program cannot be emulated, and runs natively: why."""


class Loader:
    """Puts into programs what `Tracees.inject` and the frames need.

    Attributes:
        slot: the one slot of the control area that all programs share: only
            one call at a time is made in any of them.
    """

    def __init__(self, frames: MemfdFrames, areas: Areas) -> None:
        self._frames = frames
        self._areas = areas
        self._area: Area = areas.open()
        self.slot = Slot(self._area._map, 0, CONTROL_BASE)
        self._filters = [assemble(rules) for rules in STAGES]
        self._closes = assemble(CLOSES)
        self._pipes = assemble(PIPES)

    def load(self, pid: int) -> None:
        """Prepare a process that stands before the first instruction of a program.

        Raises:
            NotLoaded: it cannot be.
            TaskGone: it died.
        """
        try:
            if _elf_class(pid) == CLASS_32_BIT:
                raise NotLoaded("it is a 32-bit program")
            entry = native.instruction_pointer(pid)
            text = native.peek(pid, entry)
            native.poke(pid, entry, text & ~0xFFFFFF | SYSCALL_INT3)
            try:
                self._map(pid, entry)
            finally:
                native.poke(pid, entry, text)
        except ProcessLookupError:
            raise TaskGone from None

    def _map(self, pid: int, gadget: int) -> None:
        code, rest = native.SLOT_AT, native.AREA_SIZE - native.SLOT_AT
        rw, rx = PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC
        self._map_file(
            pid,
            gadget,
            self._areas.fd,
            [
                (CONTROL_BASE, code, rx, SHARED_NOREPLACE, 0),
                (CONTROL_BASE + code, rest, rw, SHARED_NOREPLACE, code),
            ],
        )
        how = SHARED_NOREPLACE | MAP_NORESERVE
        window = (WINDOW_BASE, self._frames.size, PROT_NONE, how, 0)
        self._map_file(pid, gadget, self._frames.fd, [window])

    def _map_file(
        self, pid: int, gadget: int, fd: int, mappings: list[tuple[int, int, int, int, int]]
    ) -> None:
        """Map a file of ours by the name that /proc gives it; no descriptor stays."""
        path = f"/proc/{os.getpid()}/fd/{fd}\0".encode()
        stack = _stack_pointer(pid) - 512 & ~15
        words = [path[i : i + 8].ljust(8, b"\0") for i in range(0, len(path), 8)]
        for i, word in enumerate(words):
            native.poke(pid, stack + 8 * i, int.from_bytes(word, "little"))
        flags = os.O_RDWR | os.O_CLOEXEC
        theirs = native.syscall(pid, gadget, (SYS_OPENAT, AT_FDCWD, stack, flags, 0, 0, 0))
        if theirs < 0:
            raise NotLoaded(f"it cannot open uemu's memory ({os.strerror(-theirs)})")
        try:
            for addr, length, prot, how, offset in mappings:
                call = (SYS_MMAP, addr, length, prot, how, theirs, offset)
                result = native.syscall(pid, gadget, call)
                if result < 0:
                    raise NotLoaded(f"it cannot map uemu's memory ({os.strerror(-result)})")
        finally:
            native.syscall(pid, gadget, (SYS_CLOSE, theirs, 0, 0, 0, 0, 0))

    def raise_stage(self, tracees: Tracees, task: Task, stage: int) -> None:
        """Give a process the filters up to ``stage``, all its threads at once.

        Raises:
            TaskGone: it died.
            NotLoaded: the kernel refused.
        """
        process = task.process
        while process.stage < stage:
            number = process.stage + 1
            if number == 0:
                tracees.inject(task, [(SYS_PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)])
            self._install(tracees, task, self._filters[number])
            process.stage = number

    def watch_closes(self, tracees: Tracees, task: Task) -> None:
        """Have a process that has io_urings stop where it may close one.

        Raises:
            TaskGone: it died.
            NotLoaded: the kernel refused.
        """
        if not task.process.closes:
            self._install(tracees, task, self._closes)
            task.process.closes = True

    def watch_pipes(self, tracees: Tracees, task: Task) -> None:
        """Have a process stop where it may take something out of a pipe.

        Raises:
            TaskGone: it died.
            NotLoaded: the kernel refused.
        """
        self._install(tracees, task, self._pipes)

    def _install(self, tracees: Tracees, task: Task, program: bytes) -> None:
        how = SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
        call = (SYS_SECCOMP, *how, self._lay_out(program), *(0, 0, 0))
        (result,) = tracees.inject(task, [call])
        if result:
            why = os.strerror(-result) if result < 0 else f"thread {result} has another filter"
            raise NotLoaded(f"it cannot have a seccomp filter ({why})")

    def _lay_out(self, program: bytes) -> int:
        """Put a filter and its struct sock_fprog where the program can see them."""
        at, base = native.BUFFER_AT, CONTROL_BASE + native.BUFFER_AT
        head = struct.pack("=H6xQ", len(program) // 8, base + 16)
        if len(head) + len(program) > native.SLOTS * PAGE_SIZE:
            raise ValueError(f"a filter of {len(program)} bytes")
        self._area._map[at : at + len(head) + len(program)] = head + program
        return base

    def close(self) -> None:
        """Give the control area back."""
        native.forget_slot(self.slot.struct)
        self._areas.close_area(self._area)


def _elf_class(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/exe", "rb") as exe:
            head = exe.read(5)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH):
            raise TaskGone from None
        # Not ours to read, but ours to run.
        return 0
    return head[4] if len(head) == 5 else 0


def _stack_pointer(pid: int) -> int:
    found = syscall_of(pid)
    if found is None:
        raise TaskGone
    return found[2]
