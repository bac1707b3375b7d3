"""What calls on sockets and message queues write."""

from __future__ import annotations

from collections.abc import Iterator

from uemu.live.program.outputs_rules import (
    SIZEOF,
    UIO_MAXIOV,
    Args,
    Out,
    Peek,
    Range,
    buffers,
    bytes_at,
    pointee,
    row,
    signed,
    size_t,
    to,
)

SOCKADDR = SIZEOF["struct __kernel_sockaddr_storage"]
MSGHDR = SIZEOF["struct msghdr"]
MMSGHDR = SIZEOF["struct mmsghdr"]


def sockaddr(addr: int, length: int) -> Out:
    """An address, and the int that held how much room it has; without one, neither.

    Linux: net/socket.c:move_addr_to_user.
    """
    room = pointee(length, most=SOCKADDR)

    def written(args: Args, peek: Peek) -> list[Range]:
        if not args[addr]:
            return []
        return [(args[addr], room(args, peek)), (args[length], SIZEOF["int"])]

    return written


def received(peek: Peek, msg: int) -> Iterator[Range]:
    """One struct msghdr: what it points to, and of itself the lengths and the flags.

    Linux: net/socket.c:____sys_recvmsg.
    """
    data = bytes_at(peek, msg, MSGHDR)
    if len(data) < MSGHDR:
        return
    name, namelen, iov, iovlen, control, controllen = (
        int.from_bytes(data[at : at + 8], "little") for at in range(0, 48, 8)
    )
    if name:
        yield name, min(max(0, signed(namelen)), SOCKADDR)
        yield msg + 8, 4
    yield from buffers(peek, iov, iovlen)
    yield control, controllen
    yield msg + 40, 12


def recvmsg(args: Args, peek: Peek) -> Iterator[Range]:
    """One message."""
    return received(peek, args[1])


def recvmmsg(args: Args, peek: Peek) -> Iterator[Range]:
    """Messages, the length of each, and the time left."""
    for msg, msg_len in _mmsghdrs(args, peek):
        yield from received(peek, msg)
        yield msg_len
    yield args[4], SIZEOF["struct timespec"]


def sendmmsg(args: Args, peek: Peek) -> list[Range]:
    """The length of each message."""
    return [msg_len for _, msg_len in _mmsghdrs(args, peek)]


def _mmsghdrs(args: Args, peek: Peek) -> Iterator[tuple[int, Range]]:
    """Address and msg_len of each struct mmsghdr, up to the first that is not there."""
    for index in range(min(args[2] & 0xFFFFFFFF, UIO_MAXIOV)):
        msg = args[1] + index * MMSGHDR
        if len(bytes_at(peek, msg, MMSGHDR)) < MMSGHDR:
            return
        yield msg, (msg + MSGHDR, SIZEOF["int"])


NET = (
    row(53, "socketpair", to(3, "int[2]")),
    row(43, "accept", sockaddr(1, 2)),
    row(288, "accept4", sockaddr(1, 2)),
    row(51, "getsockname", sockaddr(1, 2)),
    row(52, "getpeername", sockaddr(1, 2)),
    row(55, "getsockopt", to(3, pointee(4)), to(4, "int")),
    row(45, "recvfrom", to(1, size_t(2)), sockaddr(4, 5)),
    row(47, "recvmsg", recvmsg),
    row(299, "recvmmsg", recvmmsg),
    row(307, "sendmmsg", sendmmsg),
    # System V: the type of the message, then its text
    row(70, "msgrcv", to(1, "long"), to(1, size_t(2), at=8)),
    # POSIX
    row(243, "mq_timedreceive", to(1, size_t(2)), to(3, "int")),
    row(245, "mq_getsetattr", to(2, "struct mq_attr")),
)
