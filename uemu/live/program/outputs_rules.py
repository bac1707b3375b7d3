"""The words in which the tables of `outputs` are written.

A row has a number, its C name and *outs*. An out is a function of a call's
arguments and the caller's memory that gives the ranges it writes, raw: NULL,
empty and endless ones are dropped or cut by `outputs.writes_of`.

    row(0, "read", to(1, size_t(2)))        as many bytes as the third argument says,
                                            where the second points
    row(5, "fstat", to(1, "struct stat"))   as many bytes as the type has
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from uemu.abi import USER_END

Range = tuple[int, int]
"""An address and a length, in bytes."""

Args = Sequence[int]
"""The six arguments of a call, each below 2**64."""

Peek = Callable[[int, int], bytes]
"""Reads (address, length) of the caller's memory; short or OSError where it cannot."""

Out = Callable[[Args, Peek], Iterable[Range]]
Count = Callable[[Args, Peek], int]

MAX_RW_COUNT = 0x7FFFF000
"""The most that one call transfers. Linux: include/linux/fs.h."""

UIO_MAXIOV = 1024
PAGE = 4096

SIZEOF = {
    "char[16]": 16,
    "char[32]": 32,
    "int": 4,
    "int[2]": 8,
    "long": 8,
    "long[5]": 40,
    "short": 2,
    "sigset_t": 8,
    "siginfo_t": 128,
    "stack_t": 24,
    "struct __kernel_sockaddr_storage": 128,
    "struct __user_cap_data_struct[2]": 24,
    "struct __user_cap_header_struct": 8,
    "struct epoll_event": 12,
    "struct f_owner_ex": 8,
    "struct fiemap": 32,
    "struct fiemap_extent": 56,
    "struct file_handle": 8,
    "struct flock": 32,
    "struct hd_geometry": 16,
    "struct ifconf": 16,
    "struct ifreq": 40,
    "struct io_event": 32,
    "struct io_uring_params": 120,
    "struct iocb": 64,
    "struct iovec": 16,
    "struct itimerspec": 32,
    "struct itimerval": 32,
    "struct loop_info": 168,
    "struct loop_info64": 232,
    "struct mmsghdr": 64,
    "struct mq_attr": 64,
    "struct msghdr": 56,
    "struct msginfo": 32,
    "struct msqid64_ds": 120,
    "struct new_utsname": 390,
    "struct pollfd": 8,
    "struct rlimit": 16,
    "struct rusage": 144,
    "struct seccomp_notif_sizes": 6,
    "struct semid64_ds": 104,
    "struct seminfo": 40,
    "struct serial_icounter_struct": 80,
    "struct serial_struct": 72,
    "struct shm_info": 48,
    "struct shmid64_ds": 112,
    "struct shminfo64": 72,
    "struct sigaction": 32,
    "struct stat": 144,
    "struct statfs": 120,
    "struct statx": 256,
    "struct sysinfo": 112,
    "struct termio": 18,
    "struct termios": 36,
    "struct timespec": 16,
    "struct timeval": 16,
    "struct timex": 208,
    "struct timezone": 8,
    "struct tms": 32,
    "struct winsize": 8,
}
"""C type to bytes, as the kernel's headers for x86-64 have it."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one call, or one request of a call, writes.

    Attributes:
        number: as the program passes it.
        name: its name in C, of a call without ``SYS_``.
        outs: what it writes; none is a request known to write nothing.
    """

    number: int
    name: str
    outs: tuple[Out, ...]


def row(number: int, name: str, *outs: Out) -> Row:
    """A row of a table."""
    return Row(number, name, outs)


# How much


def size_t(arg: int, each: int | str = 1, most: int = MAX_RW_COUNT) -> Count:
    """A 64-bit count in an argument, of ``each`` bytes, ``most`` bytes in all."""
    size = _bytes_of(each)
    return lambda args, peek: min(args[arg] * size, most)


def uint(arg: int, each: int | str = 1, most: int = MAX_RW_COUNT) -> Count:
    """The same of 32 bits: the kernel does not look at the upper half."""
    size = _bytes_of(each)
    return lambda args, peek: min((args[arg] & 0xFFFFFFFF) * size, most)


def sint(arg: int, each: int | str = 1) -> Count:
    """The same of 32 bits and a sign: a negative count is nothing."""
    size = _bytes_of(each)
    return lambda args, peek: max(0, signed(args[arg])) * size


def pointee(arg: int, most: int = MAX_RW_COUNT) -> Count:
    """An int that an argument points to, as in getsockopt()."""
    return lambda args, peek: min(max(0, signed(number_at(peek, args[arg], 4))), most)


def longs(bits: int) -> int:
    """Bytes of a bitmap, which is made of whole longs."""
    return (bits + 63) // 64 * 8


def signed(value: int) -> int:
    """The low 32 bits as an int."""
    return ((value & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def _bytes_of(size: int | str) -> int:
    return SIZEOF[size] if isinstance(size, str) else size


# Where


def to(arg: int, size: int | str | Count, at: int = 0) -> Out:
    """To where an argument points, ``at`` bytes further; NULL is nothing."""
    if not callable(size):
        fixed = _bytes_of(size)
        return lambda args, peek: [(args[arg] + at, fixed)] if args[arg] else []
    return lambda args, peek: [(args[arg] + at, size(args, peek))] if args[arg] else []


def iovecs(arg: int, count: int) -> Out:
    """To the buffers of an array of struct iovec, with its length in another argument."""
    return lambda args, peek: buffers(peek, args[arg], args[count])


def if_flag(flag: int, out: Out, arg: int = 0) -> Out:
    """Only if an argument has a flag."""
    return lambda args, peek: out(args, peek) if args[arg] & flag else []


def pick(
    arg: int, rows: Sequence[Row], mask: int = 0xFFFFFFFF, otherwise: Out | None = None
) -> Out:
    """What the row says whose number an argument has; without one, ``otherwise``."""
    outs = {row.number: row.outs for row in rows}
    default = () if otherwise is None else (otherwise,)

    def picked(args: Args, peek: Peek) -> Iterator[Range]:
        for out in outs.get(args[arg] & mask, default):
            yield from out(args, peek)

    return picked


# The caller's memory


def bytes_at(peek: Peek, addr: int, length: int) -> bytes:
    """As many bytes as can be read, up to ``length``."""
    if not 0 < addr < USER_END:
        return b""
    try:
        return peek(addr, length)
    except OSError:
        return b""


def number_at(peek: Peek, addr: int, length: int) -> int:
    """An unsigned number of ``length`` bytes, 0 if it cannot be read."""
    data = bytes_at(peek, addr, length)
    return int.from_bytes(data, "little") if len(data) == length else 0


def buffers(peek: Peek, iov: int, count: int) -> list[Range]:
    """The buffers of an array of struct iovec, MAX_RW_COUNT bytes in all."""
    size = SIZEOF["struct iovec"]
    data = bytes_at(peek, iov, min(count, UIO_MAXIOV) * size)
    found, left = [], MAX_RW_COUNT
    for start in range(0, len(data) - size + 1, size):
        base, length = (int.from_bytes(data[start + i : start + i + 8], "little") for i in (0, 8))
        found.append((base, min(length, left)))
        left -= found[-1][1]
    return found
