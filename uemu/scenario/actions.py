"""What a thread of a scenario can do: the values its script yields.

Every action but Signal and WaitFor is something a user's program does, a
device does on its behalf, or a system call. ``addr`` and ``length`` are in
bytes. An action that the kernel refuses raises `uemu.errors.Fault` where the
script yielded it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HPAGE_NR = 4
"""How many pages a huge page has in a scenario that says nothing else."""

IoHandle = Any
"""What DirectRead, DirectWrite and Register return: opaque to a script."""

SecondaryHandle = Any
"""What AttachSecondary returns: opaque to a script."""


@dataclass(frozen=True, slots=True)
class Mmap:
    """Map ``length`` bytes of anonymous memory, private or ``shared``; returns the address.

    ``huge``: as `uemu.kernel.Kernel.mmap` has it.
    """

    length: int
    shared: bool = False
    huge: str = ""


@dataclass(frozen=True, slots=True)
class Store:
    """Store ``data`` at ``addr``, as the CPU does."""

    addr: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Load:
    """Load ``length`` bytes from ``addr``, as the CPU does; returns them."""

    addr: int
    length: int


@dataclass(frozen=True, slots=True)
class Fork:
    """fork(2); the child is called ``child`` and runs the script of that name, if any."""

    child: str


@dataclass(frozen=True, slots=True)
class Vfork:
    """vfork(2): ``child`` runs in the same memory, and the thread waits for its Exec or Exit."""

    child: str


@dataclass(frozen=True, slots=True)
class Exec:
    """A vfork child becomes another program, which has memory of its own and does nothing here.

    Only a Signal may follow.
    """


@dataclass(frozen=True, slots=True)
class Spawn:
    """posix_spawn(3) of such a program: vfork and exec in one."""


@dataclass(frozen=True, slots=True)
class DirectRead:
    """Submit a read from a device into memory and go on; returns the I/O, to Complete.

    Without ``aio`` the thread is in its read(2) until then.
    """

    addr: int
    length: int
    api: str = "o_direct"
    aio: bool = False


@dataclass(frozen=True, slots=True)
class DirectWrite:
    """Submit a write from memory to a device and go on; returns the I/O, to Complete.

    Without ``aio`` the thread is in its write(2) until then.
    """

    addr: int
    length: int
    api: str = "o_direct"
    aio: bool = False


@dataclass(frozen=True, slots=True)
class Complete:
    """The device does its part, then the request is over.

    After DirectRead the device writes ``data`` to the start of the buffer;
    after DirectWrite it reads the whole buffer. Returns the bytes it read.
    """

    io: IoHandle
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Register:
    """Let a device use a buffer until Release; returns the I/O."""

    addr: int
    length: int
    writable: bool
    api: str


@dataclass(frozen=True, slots=True)
class DeviceStores:
    """The device writes ``data`` at byte ``offset`` of a registered buffer."""

    io: IoHandle
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class DeviceLoads:
    """The device reads ``length`` bytes from byte ``offset`` of a registered buffer."""

    io: IoHandle
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Release:
    """End a registration."""

    io: IoHandle


@dataclass(frozen=True, slots=True)
class AttachSecondary:
    """Let a secondary MMU (``kvm``, ``xpmem``, ``gru``) translate whole pages; returns it."""

    addr: int
    length: int
    kind: str


@dataclass(frozen=True, slots=True)
class SecondaryStore:
    """A guest stores ``data`` at byte ``offset`` of the memory of a secondary MMU."""

    mmu: SecondaryHandle
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SecondaryLoad:
    """A guest loads ``length`` bytes from byte ``offset``; returns them."""

    mmu: SecondaryHandle
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class DetachSecondary:
    """A secondary MMU lets everything go."""

    mmu: SecondaryHandle


@dataclass(frozen=True, slots=True)
class Madvise:
    """madvise(2) with one of the MADV_* of `uemu.abi`."""

    addr: int
    length: int
    advice: int


@dataclass(frozen=True, slots=True)
class Mprotect:
    """mprotect(2) with PROT_* of `uemu.abi`."""

    addr: int
    length: int
    prot: int


@dataclass(frozen=True, slots=True)
class Mremap:
    """mremap(2) to a new place; the script gets its address."""

    addr: int
    old_length: int
    new_length: int


@dataclass(frozen=True, slots=True)
class Munmap:
    """munmap(2)."""

    addr: int
    length: int


@dataclass(frozen=True, slots=True)
class SwapOut:
    """Reclaim wants the frame that is mapped at ``addr``; returns what became of it.

    What it says is a text: ``uemu.mm.reclaim.FREED``, or why the page is kept.
    """

    addr: int


@dataclass(frozen=True, slots=True)
class Migrate:
    """The frame that is mapped at ``addr`` is to move; returns what became of it, as a text."""

    addr: int


@dataclass(frozen=True, slots=True)
class KsmMerge:
    """KSM finds the pages mapped at two addresses equal; returns what became of them, as a text."""

    first: int
    second: int


@dataclass(frozen=True, slots=True)
class ClearRefs:
    """Write "4" to /proc/self/clear_refs: soft-dirty bits begin anew."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The process ends; only a Signal may follow, to those who wait for its end."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Let those go on who wait for ``name``; it stays signalled."""

    name: str


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Wait until somebody signalled ``name``."""

    name: str


Action = (
    Mmap
    | Store
    | Load
    | Fork
    | Vfork
    | Exec
    | Spawn
    | DirectRead
    | DirectWrite
    | Complete
    | Register
    | DeviceStores
    | DeviceLoads
    | Release
    | AttachSecondary
    | SecondaryStore
    | SecondaryLoad
    | DetachSecondary
    | Madvise
    | Mprotect
    | Mremap
    | Munmap
    | SwapOut
    | Migrate
    | KsmMerge
    | ClearRefs
    | Exit
    | Signal
    | WaitFor
)
