"""What calls on descriptors and files write."""

from __future__ import annotations

from collections.abc import Iterator

from uemu.live.program.outputs_rules import (
    PAGE,
    SIZEOF,
    UIO_MAXIOV,
    Args,
    Out,
    Peek,
    Range,
    buffers,
    bytes_at,
    iovecs,
    longs,
    number_at,
    row,
    signed,
    sint,
    size_t,
    to,
    uint,
)

XATTR_MAX = 65536
"""The longest value, and the longest list. Linux: include/uapi/linux/limits.h."""

MAX_HANDLE_SZ = 128
AT_HANDLE_MNT_ID_UNIQUE = 1

IOCB_CMD_PREAD = 0
IOCB_CMD_PREADV = 7


def file_handle(args: Args, peek: Peek) -> Iterator[Range]:
    """struct file_handle: its head says how long a handle may follow."""
    room = min(number_at(peek, args[2], 4), MAX_HANDLE_SZ)
    yield args[2], SIZEOF["struct file_handle"] + room
    yield args[3], 8 if args[4] & AT_HANDLE_MNT_ID_UNIQUE else 4


def getxattrat(args: Args, peek: Peek) -> Iterator[Range]:
    """struct xattr_args: a pointer and an unsigned int."""
    yield number_at(peek, args[4], 8), min(number_at(peek, args[4] + 8, 4), XATTR_MAX)


def iocbs(args: Args, peek: Peek) -> Iterator[Range]:
    """The aio_key of each struct iocb, and what a read is for.

    Linux: fs/aio.c:io_submit_one, __io_submit_one.
    """
    size = SIZEOF["struct iocb"]
    for index in range(min(args[1], UIO_MAXIOV)):
        iocb = number_at(peek, args[2] + 8 * index, 8)
        data = bytes_at(peek, iocb, size)
        if len(data) < size:
            return
        yield iocb + 8, 4
        opcode = int.from_bytes(data[16:18], "little")
        buf, count = (int.from_bytes(data[at : at + 8], "little") for at in (24, 32))
        if opcode == IOCB_CMD_PREAD:
            yield buf, count
        elif opcode == IOCB_CMD_PREADV:
            yield from buffers(peek, buf, count)


def fd_set(args: Args, peek: Peek) -> int:
    """As many bits as the first argument says, an int."""
    return longs(max(0, signed(args[0])))


def selected(time: str) -> tuple[Out, ...]:
    """The three sets of select(), and the time left."""
    return *(to(arg, fd_set) for arg in (1, 2, 3)), to(4, time)


FILES = (
    # Bytes
    row(0, "read", to(1, size_t(2))),
    row(17, "pread64", to(1, size_t(2))),
    row(19, "readv", iovecs(1, 2)),
    row(295, "preadv", iovecs(1, 2)),
    row(327, "preadv2", iovecs(1, 2)),
    row(318, "getrandom", to(0, size_t(1))),
    # Bytes from one descriptor to another: the offsets
    row(40, "sendfile", to(2, "long")),
    row(275, "splice", to(1, "long"), to(3, "long")),
    row(326, "copy_file_range", to(1, "long"), to(3, "long")),
    # Asynchronous I/O
    row(206, "io_setup", to(1, "long")),
    row(208, "io_getevents", to(3, size_t(2, "struct io_event"))),
    row(333, "io_pgetevents", to(3, size_t(2, "struct io_event"))),
    row(209, "io_submit", iocbs),
    row(425, "io_uring_setup", to(1, "struct io_uring_params")),
    # Descriptors
    row(22, "pipe", to(0, "int[2]")),
    row(293, "pipe2", to(0, "int[2]")),
    row(7, "poll", to(0, uint(1, "struct pollfd"))),
    row(271, "ppoll", to(0, uint(1, "struct pollfd")), to(2, "struct timespec")),
    row(23, "select", *selected("struct timeval")),
    row(270, "pselect6", *selected("struct timespec")),
    row(232, "epoll_wait", to(1, sint(2, "struct epoll_event"))),
    row(281, "epoll_pwait", to(1, sint(2, "struct epoll_event"))),
    row(441, "epoll_pwait2", to(1, sint(2, "struct epoll_event"))),
    # What a file is
    row(4, "stat", to(1, "struct stat")),
    row(5, "fstat", to(1, "struct stat")),
    row(6, "lstat", to(1, "struct stat")),
    row(262, "newfstatat", to(2, "struct stat")),
    row(332, "statx", to(4, "struct statx")),
    row(468, "file_getattr", to(2, size_t(3, most=PAGE))),
    row(303, "name_to_handle_at", file_handle),
    row(451, "cachestat", to(2, "long[5]")),
    # struct ustat has no header any more
    row(136, "ustat", to(1, "char[32]")),
    row(137, "statfs", to(1, "struct statfs")),
    row(138, "fstatfs", to(1, "struct statfs")),
    row(457, "statmount", to(1, size_t(2))),
    row(458, "listmount", to(1, size_t(2, "long"))),
    # Names
    row(79, "getcwd", to(0, size_t(1, most=PAGE))),
    row(89, "readlink", to(1, sint(2))),
    row(267, "readlinkat", to(2, sint(3))),
    row(78, "getdents", to(1, uint(2))),
    row(217, "getdents64", to(1, uint(2))),
    # Extended attributes
    row(191, "getxattr", to(2, size_t(3, most=XATTR_MAX))),
    row(192, "lgetxattr", to(2, size_t(3, most=XATTR_MAX))),
    row(193, "fgetxattr", to(2, size_t(3, most=XATTR_MAX))),
    row(464, "getxattrat", getxattrat),
    row(194, "listxattr", to(1, size_t(2, most=XATTR_MAX))),
    row(195, "llistxattr", to(1, size_t(2, most=XATTR_MAX))),
    row(196, "flistxattr", to(1, size_t(2, most=XATTR_MAX))),
    row(465, "listxattrat", to(3, size_t(4, most=XATTR_MAX))),
)
