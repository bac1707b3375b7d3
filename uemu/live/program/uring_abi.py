"""io_uring's numbers, and what stands in a submission queue entry.

Source: linux/io_uring.h (v6.18); io_uring_setup(2), io_uring_enter(2), io_uring_register(2).
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

NOP, READV, WRITEV, FSYNC, READ_FIXED, WRITE_FIXED = 0, 1, 2, 3, 4, 5
SENDMSG, RECVMSG, ACCEPT, LINK_TIMEOUT, OPENAT = 9, 10, 13, 15, 18
STATX, READ, WRITE, RECV, OPENAT2, EPOLL_WAIT = 21, 22, 23, 27, 28, 59
CLOSE, FILES_UPDATE, SOCKET, PIPE = 19, 20, 45, 62
URING_CMD, SEND_ZC, SENDMSG_ZC, READV_FIXED, WRITEV_FIXED = 46, 47, 48, 60, 61

NAMES: Final = {
    **{0: "NOP", 1: "READV", 2: "WRITEV", 3: "FSYNC", 4: "READ_FIXED", 5: "WRITE_FIXED"},
    **{6: "POLL_ADD", 9: "SENDMSG", 10: "RECVMSG", 11: "TIMEOUT", 13: "ACCEPT", 16: "CONNECT"},
    **{15: "LINK_TIMEOUT", 18: "OPENAT", 19: "CLOSE", 21: "STATX", 22: "READ", 23: "WRITE"},
    **{26: "SEND", 27: "RECV", 30: "SPLICE", 60: "READV_FIXED", 61: "WRITEV_FIXED"},
}
"""IORING_OP_* that people meet; others are told by their number."""

FIXED_FILE, DRAIN, LINK, HARDLINK = 1 << 0, 1 << 1, 1 << 2, 1 << 3
BUFFER_SELECT, CQE_SKIP_SUCCESS = 1 << 5, 1 << 6
"""IOSQE_*."""

FSYNC_DATASYNC: Final = 1

SETUP_SQE128: Final = 1 << 10
SETUP_DEFER_TASKRUN: Final = 1 << 13
SETUP_NO_SQARRAY: Final = 1 << 16

SETUP_REFUSED: Final = {
    1 << 0: "IORING_SETUP_IOPOLL",
    1 << 1: "IORING_SETUP_SQPOLL",
    1 << 14: "IORING_SETUP_NO_MMAP",
    1 << 17: "IORING_SETUP_HYBRID_IOPOLL",
}
"""Completions that are polled for, entries that the kernel takes without being asked, rings
that lie in memory which may become a frame."""

SETUP_KNOWN: Final = (1 << 18) - 1 & ~sum(SETUP_REFUSED)
"""Flags that are none of our business."""

SQ_CQ_OVERFLOW, SQ_TASKRUN = 1 << 1, 1 << 2

ENTER_GETEVENTS: Final = 1
ENTER_EXT_ARG: Final = 1 << 3
ENTER_REGISTERED_RING: Final = 1 << 4

(
    REGISTER_BUFFERS, UNREGISTER_BUFFERS, REGISTER_FILES, UNREGISTER_FILES,
) = range(4)  # fmt: skip
REGISTER_FILES_UPDATE: Final = 6
REGISTER_FILES2, REGISTER_FILES_UPDATE2, REGISTER_BUFFERS2, REGISTER_BUFFERS_UPDATE = range(13, 17)

REGISTER_REFUSED: Final = {
    11: "IORING_REGISTER_RESTRICTIONS",
    20: "IORING_REGISTER_RING_FDS",
    30: "IORING_REGISTER_CLONE_BUFFERS",
    33: "IORING_REGISTER_RESIZE_RINGS",
}

CURRENT_POSITION: Final = (1 << 64) - 1
FILE_SKIP: Final = -2
"""IORING_REGISTER_FILES_SKIP."""

RSRC_SPARSE: Final = 1 << 0
"""IORING_RSRC_REGISTER_SPARSE."""

SQE: Final = struct.Struct("=BBHiQQIIQHHi16x")
IOVEC: Final = struct.Struct("=QQ")
PARAMS_BYTES: Final = 120


class Sqe(NamedTuple):
    """A submission queue entry, as far as it is looked at.

    Attributes:
        fd: a descriptor, or with IOSQE_FIXED_FILE an index.
        file_index: one more than the slot that a file is put into; 0: none is.
    """

    opcode: int
    flags: int
    ioprio: int
    fd: int
    off: int
    addr: int
    len: int
    rw_flags: int
    user_data: int
    buf_index: int
    personality: int
    file_index: int

    @property
    def is_linked(self) -> bool:
        """Whether the next one is of the same chain."""
        return bool(self.flags & (LINK | HARDLINK))


NOTHING: Final = SQE.pack(NOP, CQE_SKIP_SUCCESS, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0)
"""An entry that does nothing and tells nothing."""


def name_of(opcode: int) -> str:
    """What people call an operation."""
    return f"IORING_OP_{NAMES[opcode]}" if opcode in NAMES else f"operation {opcode}"
