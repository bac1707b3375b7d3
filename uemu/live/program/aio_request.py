"""One request of libaio: what it asks for, and what its descriptors are.

Source: Linux v6.1, fs/aio.c:aio_read, aio_write, aio_prep_rw.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import struct
from dataclasses import dataclass
from typing import Final

from uemu.abi import USER_END
from uemu.errors import Fault
from uemu.host import tracee
from uemu.live.program.direct import MAX_IOV
from uemu.live.program.outputs_rules import MAX_RW_COUNT
from uemu.live.program.request import Buffers
from uemu.live.program.tasks import Task
from uemu.live.program.user import copy_from_user

IOCB = struct.Struct("=QIIHhIQQqQII")
"""struct iocb."""

AIO_KEY_AT: Final = 8
PREAD, PWRITE, FSYNC, FDSYNC, POLL, PREADV, PWRITEV = 0, 1, 2, 3, 5, 7, 8
READS, WRITES, VECTORED = (PREAD, PREADV), (PWRITE, PWRITEV), (PREADV, PWRITEV)
RESFD, IOPRIO = 1, 2


@dataclass(frozen=True, slots=True)
class Iocb:
    """What a struct iocb asks for.

    Attributes:
        buf, nbytes: the buffer, or an array of struct iovec and their number.
        rw_flags: RWF_*.
    """

    opcode: int
    fd: int
    buf: int
    nbytes: int
    offset: int
    rw_flags: int

    @property
    def is_read(self) -> bool:
        """Whether it reads the file."""
        return self.opcode in READS


def check(task: Task, iocb: Iocb, own: int) -> Buffers:
    """The pieces of the buffer of a request that is taken.

    Raises:
        Fault: it is not.
    """
    if iocb.opcode not in (*READS, *WRITES):
        raise Fault(errno.EINVAL, iocb.buf)
    mode = fcntl.fcntl(own, fcntl.F_GETFL) & os.O_ACCMODE
    if mode not in (os.O_RDWR, os.O_RDONLY if iocb.is_read else os.O_WRONLY):
        raise Fault(errno.EBADF, iocb.buf)
    if stat.S_ISDIR(os.fstat(own).st_mode):
        raise Fault(errno.EINVAL, iocb.buf)
    buffers = [(iocb.buf, min(iocb.nbytes, MAX_RW_COUNT))]
    if iocb.opcode in VECTORED:
        count = iocb.nbytes & 0xFFFF_FFFF
        if count > MAX_IOV:
            raise Fault(errno.EINVAL, iocb.buf)
        data = copy_from_user(task.mm, iocb.buf, 16 * count)
        buffers = [*struct.iter_unpack("=QQ", data)]
    if any(length >= 1 << 63 for _, length in buffers):
        raise Fault(errno.EINVAL, iocb.buf)
    if any(addr + length > USER_END for addr, length in buffers):
        raise Fault(errno.EFAULT, iocb.buf)
    total = min(sum(length for _, length in buffers), MAX_RW_COUNT)
    if iocb.offset < 0 or iocb.offset + total >= 1 << 63:
        raise Fault(errno.EINVAL, iocb.buf)
    return [piece for piece in buffers if piece[1]]


def get_file(task: Task, fd: int) -> int:
    """A descriptor of our own for a program's; O_PATH is none.

    Raises:
        Fault: EBADF.
    """
    own = tracee.getfd(task.pid, fd, task.tid) if fd < 1 << 31 else -errno.EBADF
    if own >= 0 and fcntl.fcntl(own, fcntl.F_GETFL) & os.O_PATH:
        os.close(own)
        own = -1
    if own < 0:
        raise Fault(errno.EBADF, 0, f"descriptor {fd}")
    return own


def get_eventfd(task: Task, fd: int) -> int:
    """The same, which has to be an eventfd."""
    own = get_file(task, fd)
    if os.readlink(f"/proc/self/fd/{own}") != "anon_inode:[eventfd]":
        os.close(own)
        raise Fault(errno.EINVAL, 0, f"descriptor {fd} is no eventfd")
    return own


def signal(eventfd: int) -> None:
    """Count one more; a counter that is full stays so."""
    if is_ready(eventfd, select.POLLOUT):
        os.write(eventfd, (1).to_bytes(8, "little"))
    os.close(eventfd)


def is_ready(fd: int, events: int) -> bool:
    """Whether poll(2) says so, now."""
    poll = select.poll()
    poll.register(fd, events)
    return bool(poll.poll(0))


def is_stream(fd: int) -> bool:
    """Whether a file has no positions: a pipe, a socket, a terminal."""
    try:
        os.lseek(fd, 0, os.SEEK_CUR)
    except OSError as error:
        return error.errno == errno.ESPIPE
    return False


def check_priority(prio: int, where: int) -> None:
    """Linux: block/ioprio.c:ioprio_check_cap. Not modelled: EPERM for IOPRIO_CLASS_RT."""
    none, idle = 0, 3
    level, which = prio & 7, prio >> 13 & 7
    if which > idle or (which == none and level):
        raise Fault(errno.EINVAL, where, "a priority")


def synchronize(fd: int, opcode: int) -> int:
    """What IOCB_CMD_FSYNC or FDSYNC comes to.

    Raises:
        Fault: EINVAL, such a file cannot be synchronized.
    """
    try:
        os.fsync(fd) if opcode == FSYNC else os.fdatasync(fd)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise Fault(errno.EINVAL, 0) from None
        return -(error.errno or errno.EIO)
    return 0
