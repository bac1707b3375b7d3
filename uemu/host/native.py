"""The typed face of the native helper (``native/uemu_native.h``).

Functions keep the helper's convention, -errno on failure, where they are
hot; the others raise.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from uemu._native import ffi, lib
from uemu.errors import HostError

SEGV: Final[int] = lib.UEMU_SEGV
TRAP: Final[int] = lib.UEMU_TRAP
SIGNAL: Final[int] = lib.UEMU_SIGNAL
EVENT: Final[int] = lib.UEMU_EVENT
EXITED: Final[int] = lib.UEMU_EXITED
KILLED: Final[int] = lib.UEMU_KILLED
NONE: Final[int] = lib.UEMU_NONE

EVENT_STOP: Final = 128

WALL: Final = 0x40000000
"""__WALL of waitpid(2)."""

SLOTS: Final[int] = lib.UEMU_SLOTS
SLOT_AT: Final[int] = lib.UEMU_SLOT_AT
BUFFER_AT: Final[int] = lib.UEMU_BUFFER_AT
AREA_SIZE: Final[int] = lib.UEMU_AREA_SIZE
MAX_CALLS: Final[int] = lib.UEMU_MAX_CALLS

TRACE: Final = "trace a process of our own (ptrace)"
"""What a HostError says was tried when ptrace is refused."""

PUPPET: Final = Path(__file__).resolve().parent.parent / "_puppet"


class Event(Protocol):
    """What waiting reported. C: struct uemu_event."""

    tid: int
    kind: int
    code: int
    addr: int
    ip: int
    msg: int
    nr: int
    args: Sequence[int]


class Entries(Protocol):
    """Offsets of the entry points in a code page. C: struct uemu_entries."""

    size: int
    resume: int
    calls: int
    syscall: int
    store_bytes: int
    load_bytes: int


class SlotStruct(Protocol):
    """A thread's slot. C: struct uemu_slot."""

    ip: int
    count: int
    addr: int
    length: int
    value: int
    calls: Any


NO_SLOT: Final[Any] = None
"""What a slot refers to that was given back: any use is an AttributeError."""

Call = tuple[int, int, int, int, int, int, int]
"""A system call: its number and six arguments."""

go: Callable[[int, int, int, Event], int] = lib.uemu_go
"""Let ``tid`` go on at ``ip`` (0: where it is) with a signal (0: none), and wait."""

go_call: Callable[[int, int, SlotStruct, int, int, int, int, int, int, int, int, Event], int] = (
    lib.uemu_go_call
)
"""Let ``tid`` make one call in its stub, go on at ``ip``, and wait."""

wait: Callable[[Event, int], int] = lib.uemu_wait
"""Wait for the next report; -ECHILD when nothing is left to wait for."""

cont: Callable[[int, int, int], int] = lib.uemu_cont
alone: Callable[[int], int] = lib.uemu_alone
kill: Callable[[int], int] = lib.uemu_kill
cpu: Callable[[], int] = lib.uemu_cpu


def new_event() -> Event:
    """Memory for one report."""
    event: Event = ffi.new("struct uemu_event *")
    return event


def entries() -> Entries:
    """Where the entry points of a code page are."""
    found: Entries = ffi.new("struct uemu_entries *")
    lib.uemu_stub_entries(found)
    return found


def write_stub(area: mmap.mmap, offset: int) -> None:
    """Copy the stub to ``offset`` of a control area."""
    lib.uemu_stub_copy(ffi.from_buffer(area) + offset)


def slot_at(area: mmap.mmap, offset: int) -> SlotStruct:
    """The slot at ``offset`` of a control area; it keeps the area mapped."""
    base = ffi.from_buffer("char[]", area)
    slot: SlotStruct = ffi.cast("struct uemu_slot *", base + offset)
    _keep_alive(slot, base)
    return slot


_kept: dict[Any, Any] = {}


def _keep_alive(slot: Any, base: Any) -> None:
    _kept[slot] = base


def forget_slot(slot: SlotStruct) -> None:
    """Let go of the area a slot lies in."""
    _kept.pop(slot, None)


def spawn(path: str, argv: Sequence[str], env: Sequence[str], fds: Sequence[int],
          *, autoreap: bool) -> int:  # fmt: skip
    """Start a program traced by this thread, stopped before its first instruction.

    Raises:
        HostError: ptrace is forbidden here, or the program cannot be started.
    """
    keep = [ffi.new("char[]", os.fsencode(text)) for text in (*argv, *env)]
    arguments = ffi.new("char *[]", [*keep[: len(argv)], ffi.NULL])
    environment = ffi.new("char *[]", [*keep[len(argv) :], ffi.NULL])
    pid: int = lib.uemu_spawn(
        os.fsencode(path), arguments, environment, list(fds), len(fds), int(autoreap)
    )
    if pid < 0:
        raise spawn_error(path, -pid)
    return pid


def spawn_error(path: str, errno: int) -> HostError:
    """Explain why a traced program could not be started."""
    import errno as e

    why = os.strerror(errno)
    if errno in (e.EPERM, e.ENOSYS):
        return HostError(
            TRACE,
            why,
            "Something forbids it: kernel.yama.ptrace_scope = 3, a seccomp filter (Docker: run"
            " with --cap-add SYS_PTRACE or --security-opt seccomp=unconfined), or another tracer."
            " `uemu doctor` says which.",
        )
    if errno in (e.EAGAIN, e.ENOMEM):
        return HostError("start a process", why, "Raise `ulimit -u` or free some memory.")
    if errno in (e.EMFILE, e.EINVAL):
        return HostError("start a process", why, "Raise `ulimit -n` to 256 or more.")
    if errno == e.ECHILD:
        return HostError(f"start {path}", "it died before it began", "Something killed it.")
    if errno in (e.EMFILE, e.ENFILE):
        return HostError("start a process", why, "Raise `ulimit -n`.")
    return HostError(f"start {path}", why, "Reinstall uemu: its native parts are incomplete.")


def syscall(pid: int, gadget: int, call: Call) -> int:
    """Make a call in a stopped thread at ``gadget``; its result, negative an errno.

    Raises:
        ProcessLookupError: the thread is gone.
    """
    result = ffi.new("int64_t *")
    err = lib.uemu_syscall(pid, gadget, *call, result)
    if err:
        raise ProcessLookupError(-err, os.strerror(-err))
    value: int = result[0]
    return value


def end(pid: int) -> None:
    """Kill and reap a traced process that nobody else is going to wait for."""
    if kill(pid):
        return
    with contextlib.suppress(ChildProcessError):
        while os.WIFSTOPPED(os.waitpid(pid, WALL)[1]):
            pass


def peek(tid: int, addr: int) -> int:
    """Read a word of a stopped thread's memory, even where it may not."""
    word = ffi.new("uint64_t *")
    _check(lib.uemu_peek(tid, addr, word))
    value: int = word[0]
    return value


def poke(tid: int, addr: int, word: int) -> None:
    """Write a word of a stopped thread's memory, even where it may not."""
    _check(lib.uemu_poke(tid, addr, word))


def instruction_pointer(tid: int) -> int:
    """Where a stopped thread is."""
    ip = ffi.new("uint64_t *")
    _check(lib.uemu_ip(tid, ip))
    value: int = ip[0]
    return value


def bounce(rounds: int) -> float:
    """Nanoseconds of one bare ptrace stop and go, mean over ``rounds``."""
    ns = ffi.new("double *")
    _check(lib.uemu_bounce(rounds, ns))
    value: float = ns[0]
    return value


def _check(err: int) -> None:
    if err:
        raise ProcessLookupError(-err, os.strerror(-err))
