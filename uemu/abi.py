"""Linux numbers, under the kernel's names.

Source: Linux uapi headers (asm-generic/mman-common.h, linux/mman.h), x86-64's
asm/unistd_64.h for SYS_*, include/linux/mm.h for FOLL_*. FOLL_* are internal
to the kernel and moved between versions; only their names carry over, the
values here are ours.
"""

from __future__ import annotations

import enum
import mmap
from typing import NewType

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
PAGE_MASK = ~(PAGE_SIZE - 1)

USER_END = 1 << 56
"""No user address is above, with five levels of page tables either."""

RemoteAddr = NewType("RemoteAddr", int)
"""An address in a traced process that the emulated kernel does not manage."""

PROT_NONE = 0
PROT_READ = mmap.PROT_READ
PROT_WRITE = mmap.PROT_WRITE
PROT_EXEC = mmap.PROT_EXEC

MADV_DONTNEED = mmap.MADV_DONTNEED
MADV_DONTFORK = mmap.MADV_DONTFORK
MADV_DOFORK = mmap.MADV_DOFORK
MADV_WIPEONFORK = 18
MADV_KEEPONFORK = 19
MADV_POPULATE_WRITE = 23
MADV_WILLNEED = mmap.MADV_WILLNEED
MADV_COLD = 20
MADV_PAGEOUT = 21
MADV_COLLAPSE = 25

MAP_FIXED = 0x10
MAP_NORESERVE = 0x4000
MAP_FIXED_NOREPLACE = 0x100000
MREMAP_MAYMOVE = 1
MREMAP_FIXED = 2
SHM_REMAP = 0o40000

O_DIRECT = 0o40000

CLONE_VM = 0x100
CLONE_VFORK = 0x4000
CLONE_CLEAR_SIGHAND = 1 << 32
CLONE_THREAD = 0x10000
CLONE_FILES = 0x400
CLONE_UNTRACED = 0x800000
CLONE_CHILD_SETTID = 0x1000000

SYS_READ = 0
SYS_WRITE = 1
SYS_CLOSE = 3
SYS_MMAP = 9
SYS_MPROTECT = 10
SYS_PKEY_MPROTECT = 329
SYS_MUNMAP = 11
SYS_BRK = 12
SYS_RT_SIGACTION = 13
SYS_PREAD64 = 17
SYS_PWRITE64 = 18
SYS_READV = 19
SYS_WRITEV = 20
SYS_MREMAP = 25
SYS_MADVISE = 28
SYS_SHMAT = 30
SYS_SHMCTL = 31
SYS_DUP2 = 33
SYS_CLONE = 56
SYS_FORK = 57
SYS_VFORK = 58
SYS_EXECVE = 59
SYS_EXIT = 60
SYS_FCNTL = 72
SYS_PTRACE = 101
SYS_SIGALTSTACK = 131
SYS_RESTART_SYSCALL = 219
SYS_PRCTL = 157
SYS_FUTEX = 202
SYS_SCHED_SETAFFINITY = 203
SYS_SCHED_GETAFFINITY = 204
SYS_IO_SETUP = 206
SYS_IO_DESTROY = 207
SYS_IO_GETEVENTS = 208
SYS_IO_SUBMIT = 209
SYS_IO_CANCEL = 210
SYS_EXIT_GROUP = 231
SYS_OPEN = 2
SYS_OPENAT = 257
SYS_SPLICE = 275
SYS_TEE = 276
SYS_VMSPLICE = 278
SYS_GET_ROBUST_LIST = 274
SYS_DUP3 = 292
SYS_PREADV = 295
SYS_PWRITEV = 296
SYS_SECCOMP = 317
SYS_REMAP_FILE_PAGES = 216
SYS_PROCESS_MADVISE = 440
SYS_PROCESS_VM_READV = 310
SYS_PROCESS_VM_WRITEV = 311
SYS_PREADV2 = 327
SYS_PWRITEV2 = 328
SYS_IO_PGETEVENTS = 333
SYS_RSEQ = 334
SYS_IO_URING_SETUP = 425
SYS_IO_URING_ENTER = 426
SYS_IO_URING_REGISTER = 427
SYS_CLONE3 = 435
SYS_CLOSE_RANGE = 436
SYS_OPENAT2 = 437

GUP_PIN_COUNTING_BIAS = 1024
"""What one FOLL_PIN adds to a page's refcount. Linux: include/linux/mm.h (v5.7)."""


class Foll(enum.IntFlag):
    """How a page is looked up and held. Linux: FOLL_* of include/linux/mm.h.

    COW is gup's own: it has been through a COW cycle (v4.9 to v6.0).
    PINNING_PAGE is GUP_FLAGS_PINNING_PAGE of a patch of 2009, and in no kernel.
    """

    WRITE = 0x01
    GET = 0x04
    FORCE = 0x10
    COW = 0x4000
    PIN = 0x40000
    PINNING_PAGE = 0x100_0000
    LONGTERM = 0x10000


class Direction(enum.Enum):
    """Which way a device moves bytes. Linux: enum dma_data_direction."""

    FROM_DEVICE = "from-device"
    TO_DEVICE = "to-device"


def page_range(addr: int, length: int) -> range:
    """The page-aligned addresses of the pages that ``[addr, addr + length)`` touches."""
    return range(addr & PAGE_MASK, addr + length, PAGE_SIZE)
