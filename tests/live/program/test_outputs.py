"""What the tables say, against made-up memory, the C headers and the running kernel.

The headers check every number and size, the kernel a sample of the calls: made
here on memory filled with a pattern, none may change a byte outside its ranges.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import itertools
import mmap
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from uemu.live.program.outputs import CALLS, WRITERS, Range, writes_of
from uemu.live.program.outputs_files import FILES
from uemu.live.program.outputs_net import NET
from uemu.live.program.outputs_process import PROCESS
from uemu.live.program.outputs_requests import REQUESTS, TABLES
from uemu.live.program.outputs_rules import MAX_RW_COUNT, SIZEOF, UIO_MAXIOV

NR = {row.name: row.number for row in CALLS.values()}
BUF, BUF2, STRUCT, LENGTH = 0x10000, 0x20000, 0x30000, 0x40000


class Memory:
    """Memory of a made-up caller: a few bytes, and nothing around them."""

    def __init__(self, at: dict[int, bytes]) -> None:
        self.at = at

    def __call__(self, addr: int, length: int) -> bytes:
        for base, data in self.at.items():
            if base <= addr < base + len(data):
                return data[addr - base : addr - base + length]
        raise OSError(errno.EIO, "nothing there")


def padded(nr: int, *args: int) -> list[int]:
    """A number and six arguments."""
    return [nr, *args, *[0] * (6 - len(args))]


def ranges(name: str, *args: int, **at: bytes) -> list[Range]:
    """Ranges of a call whose memory holds bytes at the addresses above, by name."""
    places = {globals()[place]: data for place, data in at.items()}
    return writes_of(NR[name], padded(0, *args)[1:], Memory(places))


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


# The kinds of entries


def test_a_call_that_writes_nothing_has_no_row() -> None:
    getpid, write = 39, 1
    assert not WRITERS & {getpid, write}
    assert writes_of(write, (1, BUF, 5, 0, 0, 0), Memory({})) == []
    assert NR["read"] in WRITERS


def test_a_fixed_size() -> None:
    assert ranges("fstat", 3, BUF) == [(BUF, 144)]
    assert ranges("fstat", 3, 0) == []


def test_a_size_in_an_argument() -> None:
    assert ranges("read", 3, BUF, 100) == [(BUF, 100)]
    assert ranges("read", 3, BUF, 0) == []
    assert ranges("read", 3, 0, 100) == []
    assert ranges("read", 3, BUF, 1 << 40) == [(BUF, MAX_RW_COUNT)]


def test_a_size_of_32_bits() -> None:
    assert ranges("epoll_wait", 3, BUF, 5) == [(BUF, 60)]
    assert ranges("epoll_wait", 3, BUF, (7 << 32) | 5) == [(BUF, 60)]
    assert ranges("epoll_wait", 3, BUF, -1) == []


def test_a_size_that_the_kernel_bounds() -> None:
    assert ranges("getcwd", BUF, 1 << 20) == [(BUF, 4096)]
    assert ranges("getxattr", BUF2, BUF2, BUF, 1 << 20) == [(BUF, 65536)]
    assert ranges("sched_getattr", 0, BUF, 56) == [(BUF, 56)]


def test_addresses_that_no_user_has() -> None:
    assert ranges("read", 3, 1 << 63, 100) == []
    assert ranges("read", 3, -1, 100) == []
    assert ranges("read", 3, (1 << 56) - 1, 100) == [((1 << 56) - 1, 1)]


def test_several_pointers() -> None:
    assert ranges("wait4", -1, BUF, 0, BUF2) == [(BUF, 4), (BUF2, 144)]
    assert ranges("wait4", -1, 0, 0, BUF2) == [(BUF2, 144)]
    assert ranges("splice", 3, BUF, 4, BUF2, 9, 0) == [(BUF, 8), (BUF2, 8)]
    assert ranges("splice", 3, 0, 4, 0, 9, 0) == []


def test_bitmaps_are_of_whole_longs() -> None:
    assert ranges("select", 1, BUF, 0, BUF2) == [(BUF, 8), (BUF2, 8)]
    assert ranges("select", 65, BUF, 0, 0, BUF2) == [(BUF, 16), (BUF2, 16)]
    assert ranges("pselect6", -1, BUF, BUF, BUF) == []
    assert ranges("get_mempolicy", 0, BUF, 65) == [(BUF, 8)]
    assert ranges("get_mempolicy", BUF2, BUF, 0) == [(BUF2, 4)]


def test_a_byte_for_each_page() -> None:
    assert ranges("mincore", BUF2, 4097, BUF) == [(BUF, 2)]


def test_vectors() -> None:
    vector = words(BUF, 10, 0, 10, BUF2, 0, BUF2, 20)
    assert ranges("readv", 3, STRUCT, 4, STRUCT=vector) == [(BUF, 10), (BUF2, 20)]
    assert ranges("readv", 3, STRUCT, 1, STRUCT=vector) == [(BUF, 10)]
    assert ranges("readv", 3, STRUCT, 4, STRUCT=vector[:-1]) == [(BUF, 10)]
    assert ranges("readv", 3, STRUCT, 4) == []
    assert ranges("readv", 3, STRUCT, 0, STRUCT=vector) == []


def test_vectors_are_bounded() -> None:
    many = words(*[BUF, 1] * 2000)
    assert len(ranges("preadv2", 3, STRUCT, 1 << 63, STRUCT=many)) == UIO_MAXIOV
    long = words(BUF, MAX_RW_COUNT - 1, BUF2, 9, BUF2, 9)
    assert ranges("preadv", 3, STRUCT, 3, STRUCT=long) == [(BUF, MAX_RW_COUNT - 1), (BUF2, 1)]


def test_a_socket_address_and_its_length() -> None:
    room = (110).to_bytes(4, "little")
    assert ranges("accept", 3, BUF, LENGTH, LENGTH=room) == [(BUF, 110), (LENGTH, 4)]
    assert ranges("accept", 3, BUF, LENGTH, LENGTH=b"\xff\xff\0\0") == [(BUF, 128), (LENGTH, 4)]
    assert ranges("accept", 3, BUF, LENGTH, LENGTH=b"\xff" * 4) == [(LENGTH, 4)]
    assert ranges("accept", 3, BUF, LENGTH) == [(LENGTH, 4)]
    assert ranges("accept", 3, 0, LENGTH, LENGTH=room) == []
    assert ranges("recvfrom", 3, BUF, 7) == [(BUF, 7)]
    assert ranges("getsockopt", 3, 1, 2, BUF, LENGTH, LENGTH=room) == [(BUF, 110), (LENGTH, 4)]


HEADER = words(BUF, 16, STRUCT + 56, 1, BUF2, 24, 0)
VECTOR = words(BUF + 256, 99)
RECEIVED = [
    (BUF, 16),
    (STRUCT + 8, 4),
    (BUF + 256, 99),
    (BUF2, 24),
    (STRUCT + 40, 12),
]


def test_a_message() -> None:
    assert ranges("recvmsg", 3, STRUCT, 0, STRUCT=HEADER + VECTOR) == RECEIVED
    assert ranges("recvmsg", 3, STRUCT, 0, STRUCT=HEADER) == [r for r in RECEIVED if r[1] != 99]
    assert ranges("recvmsg", 3, STRUCT, 0, STRUCT=HEADER[:-1]) == []
    assert ranges("recvmsg", 3, 0, 0) == []
    unnamed = words(0, 16, 0, 0, 0, 0, 0)
    assert ranges("recvmsg", 3, STRUCT, STRUCT=unnamed) == [(STRUCT + 40, 12)]


def test_messages() -> None:
    empty = words(0, 0, 0, 0, 0, 0, 0, 0)
    sent = [(STRUCT + 56, 4), (STRUCT + 120, 4)]
    assert ranges("sendmmsg", 3, STRUCT, 2, STRUCT=empty * 3) == sent
    assert ranges("sendmmsg", 3, STRUCT, 3, STRUCT=empty * 2) == sent
    received = [(STRUCT + 40, 12), (STRUCT + 56, 4), (BUF2, 16)]
    assert ranges("recvmmsg", 3, STRUCT, 1, 0, BUF2, STRUCT=empty * 2) == received


def test_ids_only_if_a_flag_asks() -> None:
    pidfd, parent, child = 0x1000, 0x100000, 0x1000000
    assert ranges("clone", 0, 0, BUF, BUF2) == []
    assert ranges("clone", parent, 0, BUF, BUF2) == [(BUF, 4)]
    assert ranges("clone", pidfd | child, 0, BUF, BUF2) == [(BUF, 4), (BUF2, 4)]
    places = (BUF, BUF + 8, BUF + 16)
    asked = words(pidfd | parent, *places)
    assert ranges("clone3", STRUCT, 88, STRUCT=asked) == [(BUF, 4), (BUF + 16, 4)]
    assert ranges("clone3", STRUCT, 88, STRUCT=words(child, *places)) == [(BUF + 8, 4)]
    assert ranges("clone3", STRUCT, 88, STRUCT=words(0, *places)) == []
    assert ranges("clone3", STRUCT, 88) == []


def test_futex_writes_only_in_some_operations() -> None:
    wait, wake, wake_op, lock_pi, private, realtime = 0, 1, 5, 6, 128, 256
    assert ranges("futex", BUF, wait | private, 0, 0, BUF2) == []
    assert ranges("futex", BUF, wake, 0, 0, BUF2) == []
    assert ranges("futex", BUF, wake_op | private, 0, 0, BUF2) == [(BUF2, 4)]
    assert ranges("futex", BUF, lock_pi | realtime | private, 0, 0, BUF2) == [(BUF, 4)]


def test_ioctl_by_table_and_by_its_number() -> None:
    tcgets, tcsets, set_blocksize, block_count = 0x5401, 0x5402, 0x40081271, 0x80081272
    assert ranges("ioctl", 0, tcgets, BUF) == [(BUF, 36)]
    assert ranges("ioctl", 0, (1 << 32) | tcgets, BUF) == [(BUF, 36)]
    assert ranges("ioctl", 0, tcsets, BUF) == []
    assert ranges("ioctl", 0, block_count, BUF) == [(BUF, 8)]
    assert ranges("ioctl", 0, set_blocksize, BUF) == []


def test_ioctl_with_a_buffer_behind() -> None:
    siocgifconf, fiemap = 0x8912, 0xC020660B
    assert ranges("ioctl", 3, siocgifconf, STRUCT, STRUCT=words(80, BUF)) == [
        (STRUCT, 16),
        (BUF, 80),
    ]
    assert ranges("ioctl", 3, fiemap, STRUCT, STRUCT=words(0, 0, 0, 3)) == [
        (STRUCT, 32 + 3 * 56),
    ]


def test_requests() -> None:
    f_getfl, f_getlk, get_name, get_dumpable = 3, 5, 16, 3
    assert ranges("fcntl", 3, f_getlk, BUF) == [(BUF, 32)]
    assert ranges("fcntl", 3, f_getfl, BUF) == []
    assert ranges("prctl", get_name, BUF) == [(BUF, 16)]
    assert ranges("prctl", get_dumpable, BUF) == []
    assert ranges("prctl", 62, 0, 0, 0, BUF) == [(BUF, 8)]
    assert ranges("prctl", 62, 1, 0, 0, BUF) == []
    assert ranges("arch_prctl", 0x1003, BUF) == [(BUF, 8)]
    assert ranges("arch_prctl", 0x1002, BUF) == []
    assert ranges("shmctl", 1, 2, BUF) == [(BUF, 112)]
    assert ranges("shmctl", 1, 0, BUF) == []
    assert ranges("semctl", 1, 0, 13, BUF) == [(BUF, 64000)]
    assert ranges("semctl", 1, 0, 16, BUF) == []


def test_asynchronous_reads() -> None:
    def iocb(opcode: int, buf: int, count: int) -> bytes:
        return words(0, 0, opcode, buf, count, 0, 0, 0)

    pread, pwrite, preadv = (iocb(opcode, BUF, 1) for opcode in (0, 1, 7))
    lists = words(*(STRUCT + 64 * i for i in range(3)), 0)
    assert ranges(
        "io_submit", 1, 4, BUF2, BUF2=lists, STRUCT=pread + pwrite + preadv, BUF=VECTOR
    ) == [(STRUCT + 8, 4), (BUF, 1), (STRUCT + 72, 4), (STRUCT + 136, 4), (BUF + 256, 99)]


def test_a_file_handle_and_an_attribute_behind_a_structure() -> None:
    head = struct.pack("<II", 24, 0)
    handle = [(STRUCT, 32), (BUF, 4)]
    assert ranges("name_to_handle_at", 3, BUF2, STRUCT, BUF, STRUCT=head) == handle
    unique = ranges("name_to_handle_at", 3, BUF2, STRUCT, BUF, 1, STRUCT=head)
    assert unique == [(STRUCT, 32), (BUF, 8)]
    xattr = struct.pack("<QII", BUF, 40, 0)
    assert ranges("getxattrat", 3, BUF2, 0, BUF2, STRUCT, 16, STRUCT=xattr) == [(BUF, 40)]


@pytest.mark.parametrize("name", NR)
def test_no_pointer_makes_a_call_raise(name: str) -> None:
    for value in (0, 1, BUF, 1 << 47, (1 << 56) - 1, 1 << 63, -1):
        for addr, length in writes_of(NR[name], [value] * 6, Memory({})):
            assert 0 < addr < 1 << 56
            assert 0 < length <= MAX_RW_COUNT


# The C headers

KERNEL = """
asm/ioctls.h asm/poll.h asm/prctl.h asm/siginfo.h asm/signal.h asm/sockios.h asm/stat.h
asm/statfs.h asm/termbits.h asm/termios.h asm/unistd.h linux/aio_abi.h linux/capability.h
linux/eventpoll.h linux/fcntl.h linux/fiemap.h linux/fs.h linux/futex.h linux/hdreg.h
linux/io_uring.h linux/keyctl.h linux/loop.h linux/mqueue.h linux/msg.h linux/prctl.h
linux/resource.h linux/seccomp.h linux/sem.h linux/serial.h linux/shm.h linux/socket.h
linux/sockios.h linux/stat.h linux/sysinfo.h linux/time.h linux/times.h linux/timex.h
linux/uio.h linux/utsname.h
"""
LIBC = "sys/ioctl.h sys/socket.h fcntl.h net/if.h linux/if_tun.h"
IN_LIBC = {"struct msghdr", "struct mmsghdr", "struct file_handle", "struct ifreq", "struct ifconf"}
SINCE_6_1 = {"PR_GET_AUXV", "ARCH_GET_UNTAG_MASK", "ARCH_GET_MAX_TAG_BITS", "ARCH_SHSTK_STATUS"}
"""Requests that the headers of Linux 6.1 lack."""

Printed = dict[str, int]
Compile = Callable[[str, Sequence[str]], Printed]


@pytest.fixture
def compile_c(tmp_path: Path) -> Compile:
    """Print (with these headers) the values of these expressions; a name unknown is left out."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    if not Path("/usr/include/linux/utsname.h").exists():
        pytest.skip("no kernel headers")

    def printed(headers: str, expressions: Sequence[str]) -> Printed:
        lines = ["#define _GNU_SOURCE", "#include <stdio.h>"]
        lines += [f"#include <{header}>" for header in headers.split()]
        lines += ["int main(void) {"]
        for text in expressions:
            show = f'printf("%lu {text}\\n", (unsigned long)({text}));'
            lines += [f"#ifdef {text}", show, "#endif"] if text.isidentifier() else [show]
        lines += ["return 0; }", ""]
        source, program = tmp_path / "print.c", tmp_path / "print"
        source.write_text("\n".join(lines))
        subprocess.run([compiler, "-w", "-o", program, source], check=True)
        out = subprocess.run([program], check=True, capture_output=True, text=True).stdout
        return {
            name: int(value)
            for value, name in (line.split(" ", 1) for line in out.split("\n")[:-1])
        }

    return printed


def test_numbers_of_calls(compile_c: Compile) -> None:
    numbers = {f"__NR_{name}": number for name, number in NR.items()}
    found = compile_c(KERNEL, list(numbers))
    assert found == {name: numbers[name] for name in found}
    assert all(numbers[name] > 450 for name in numbers.keys() - found.keys())


def test_numbers_of_requests(compile_c: Compile) -> None:
    rows = [row for table in TABLES for row in table]
    names = sorted({row.name for row in rows})
    found = compile_c(LIBC, [name for name in names if name.startswith("TUN")])
    found |= compile_c(KERNEL, names)
    assert [(row.name, row.number) for row in rows if row.name in found] == [
        (row.name, found[row.name]) for row in rows if row.name in found
    ]
    assert set(names) - found.keys() <= SINCE_6_1


def test_sizes_of_types(compile_c: Compile) -> None:
    found = compile_c(KERNEL, [f"sizeof({name})" for name in SIZEOF.keys() - IN_LIBC])
    found |= compile_c(LIBC, [f"sizeof({name})" for name in IN_LIBC])
    assert found == {f"sizeof({name})": size for name, size in SIZEOF.items()}


def test_each_number_is_there_once() -> None:
    for table in ((*FILES, *NET, *PROCESS, *REQUESTS), *TABLES):
        assert len({row.number for row in table}) == len(table)
        assert len({row.name for row in table}) == len(table)


# The kernel

SIZE = 1 << 17
LIBC_CALLS = ctypes.PyDLL(None, use_errno=True)  # keeps the GIL: a child of clone can run on
LIBC_CALLS.syscall.restype = ctypes.c_long


def syscall(nr: int, *args: int) -> int:
    """Make a call; OSError if it fails."""
    result: int = LIBC_CALLS.syscall(*map(ctypes.c_long, padded(nr, *args)))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class World(contextlib.ExitStack):
    """Memory full of a pattern, in which a trial puts what its call needs."""

    def __init__(self, fill: int, directory: Path) -> None:
        super().__init__()
        self.directory = directory
        self.memory = mmap.mmap(-1, SIZE)
        self.memory[:] = bytes([fill]) * SIZE
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.used = 64

    def room(self, size: int = 1024) -> int:
        """Address of memory nobody uses."""
        addr = self.base + self.used
        self.used += (size + 127) // 64 * 64
        return addr

    def holding(self, data: bytes) -> int:
        """Address of memory with these bytes in it."""
        addr = self.room(len(data))
        self.memory[addr - self.base : addr - self.base + len(data)] = data
        return addr

    def ints(self, *values: int) -> int:
        return self.holding(struct.pack(f"<{len(values)}i", *values))

    def words(self, *values: int) -> int:
        return self.holding(words(*values))

    def peek(self, addr: int, length: int) -> bytes:
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            return os.pread(memory.fileno(), length, addr)

    def fd(self, fd: int) -> int:
        """A descriptor, closed at the end."""
        self.callback(os.close, fd)
        return fd

    def full_pipe(self) -> int:
        reader, writer = map(self.fd, os.pipe())
        os.write(writer, b"hello")
        return reader

    def file(self) -> int:
        path = self.directory / "file"
        path.write_bytes(bytes(range(256)) * 64)
        return self.fd(os.open(path, os.O_RDWR))

    def path(self) -> int:
        self.file()
        return self.holding(bytes(self.directory / "file") + b"\0")

    def terminal(self) -> int:
        return min(map(self.fd, os.openpty()))

    def sockets(self) -> tuple[socket.socket, socket.socket]:
        """Two datagram sockets with names, connected; a message waits at the first."""
        pair = [
            self.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) for _ in range(2)
        ]
        for each in pair:
            each.bind("")
        for each, other in itertools.permutations(pair):
            each.connect(other.getsockname())
        pair[1].send(b"hello")
        return pair[0], pair[1]

    def listener(self) -> int:
        """A listening socket at which somebody with a name waits."""
        here, there = (self.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        here.bind("")
        here.listen()
        there.bind("")
        there.connect(here.getsockname())
        return here.fileno()

    def child(self) -> int:
        """A child that ends at once."""
        return os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", ""], {})

    def msghdr(self) -> bytes:
        iov = self.words(self.room(), 3, self.room(), 100)
        return words(self.room(), 110, iov, 2, self.room(), 64, 0x55)

    def ipc(self, get: tuple[int, ...], ctl: tuple[int, ...]) -> int:
        """Id of an object of System V, removed at the end."""
        made = syscall(*get)
        self.callback(syscall, ctl[0], made, *ctl[1:])
        return made

    def queue(self) -> int:
        msgget, msgsnd, msgctl = 68, 69, 71
        queue = self.ipc((msgget, 0, 0o600), (msgctl, 0, 0))
        syscall(msgsnd, queue, self.holding(words(7) + b"hello"), 5, 0)
        return queue

    def aio(self) -> tuple[int, int]:
        """A context and, submitted to it, the read of a file; a list with another."""
        context = self.words(0)
        syscall(206, 8, context)
        number = int.from_bytes(self.peek(context, 8), "little")
        self.callback(syscall, 207, number)
        iocbs = []
        for _ in range(2):
            iocb = struct.pack(
                "<QIIHhIQQqQII", 1, 7, 0, 0, 0, self.file(), self.room(), 99, 0, 0, 0, 0
            )
            iocbs.append(self.words(self.holding(iocb)))
        syscall(209, number, 1, iocbs[0])
        return number, iocbs[1]


def fd_sets(w: World) -> list[int]:
    """Three sets with a pipe in each: it can be read, the kernel takes it out of the others."""
    with_pipe = (1 << w.full_pipe()).to_bytes(128, "little")
    return [w.holding(with_pipe) for _ in range(3)]


def rmsg(w: World) -> int:
    """A socket at which a message with a descriptor waits."""
    here, there = w.sockets()
    here.recv(9)
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))
    there.sendmsg([b"hello"], [rights])
    there.send(b"again")
    return here.fileno()


def limited(w: World, size: int) -> tuple[int, int]:
    """Room, and an int that says how much."""
    return w.room(size), w.ints(size)


def epoll(w: World) -> int:
    """An epoll instance with something to tell."""
    poll = w.enter_context(select.epoll())
    poll.register(w.full_pipe(), select.EPOLLIN)
    return poll.fileno()


def timerfd(w: World) -> int:
    return w.fd(syscall(283, 1, 0))


def interface(w: World) -> int:
    return w.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).fileno()


def marked(w: World) -> int:
    """A file with an extended attribute."""
    file = w.file()
    os.setxattr(file, "user.uemu", b"value")
    return file


def mount_id(w: World) -> int:
    ids = w.room()
    syscall(NR["listmount"], w.words(24, 2**64 - 1, 0), ids, 1, 0)
    return int.from_bytes(w.peek(ids, 8), "little")


AT_FDCWD = -100
SELF = os.getpid()

TRIALS: dict[str, Callable[[World], Sequence[int]]] = {
    "read": lambda w: (w.full_pipe(), w.room(), 100),
    "pread64": lambda w: (w.file(), w.room(), 100, 10),
    "readv": lambda w: (w.full_pipe(), w.words(w.room(), 3, w.room(), 9), 2),
    "preadv": lambda w: (w.file(), w.words(w.room(), 3, w.room(), 9), 2, 10),
    "preadv2": lambda w: (w.file(), w.words(w.room(), 3, w.room(), 9), 2, 10, 0, 0),
    "getrandom": lambda w: (w.room(), 100, 0),
    "sendfile": lambda w: (w.sockets()[0].fileno(), w.file(), w.words(3), 10),
    "splice": lambda w: (w.file(), w.words(3), w.fd(os.pipe()[1]), 0, 10, 0),
    "copy_file_range": lambda w: (w.file(), w.words(3), w.file(), w.words(200), 10, 0),
    "io_setup": lambda w: (8, w.words(0)),
    "io_submit": lambda w: ((aio := w.aio())[0], 1, aio[1]),
    "io_getevents": lambda w: (w.aio()[0], 1, 4, w.room(), 0),
    "io_uring_setup": lambda w: (4, w.holding(bytes(120))),
    "pipe": lambda w: (w.room(),),
    "pipe2": lambda w: (w.room(), os.O_CLOEXEC),
    "socketpair": lambda w: (socket.AF_UNIX, socket.SOCK_STREAM, 0, w.room()),
    "poll": lambda w: (w.holding(struct.pack("<ihh", w.full_pipe(), 1, 0) * 3), 3, 0),
    "ppoll": lambda w: (w.holding(struct.pack("<ihh", -1, 1, 9)), 1, w.words(0, 999), 0, 8),
    "select": lambda w: (999, *fd_sets(w), w.words(0, 99)),
    "pselect6": lambda w: (999, *fd_sets(w), w.words(0, 999), 0),
    "epoll_wait": lambda w: (epoll(w), w.room(), 5, 0),
    "epoll_pwait2": lambda w: (epoll(w), w.room(), 5, w.words(0, 9), 0, 8),
    "stat": lambda w: (w.path(), w.room()),
    "fstat": lambda w: (w.file(), w.room()),
    "lstat": lambda w: (w.path(), w.room()),
    "newfstatat": lambda w: (AT_FDCWD, w.path(), w.room(), 0),
    "statx": lambda w: (AT_FDCWD, w.path(), 0, 0xFFF, w.room()),
    "file_getattr": lambda w: (AT_FDCWD, w.path(), w.room(), 64, 0),
    "name_to_handle_at": lambda w: (AT_FDCWD, w.path(), w.ints(128, *[0] * 33), w.room(), 0),
    "cachestat": lambda w: (w.file(), w.words(0, 4096), w.room(), 0),
    "ustat": lambda w: (os.stat("/proc").st_dev, w.room()),
    "statfs": lambda w: (w.path(), w.room()),
    "fstatfs": lambda w: (w.file(), w.room()),
    "statmount": lambda w: (w.words(24, mount_id(w), 7), w.room(), 1000, 0),
    "listmount": lambda w: (w.words(24, 2**64 - 1, 0), w.room(), 20, 0),
    "getcwd": lambda w: (w.room(8192), 8192),
    "readlink": lambda w: (w.holding(b"/proc/self/exe\0"), w.room(), 500),
    "readlinkat": lambda w: (AT_FDCWD, w.holding(b"/proc/self/exe\0"), w.room(), 500),
    "getdents": lambda w: (w.fd(os.open("/proc/self", os.O_RDONLY)), w.room(), 500),
    "getdents64": lambda w: (w.fd(os.open("/proc/self", os.O_RDONLY)), w.room(), 500),
    "fgetxattr": lambda w: (marked(w), w.holding(b"user.uemu\0"), w.room(), 500),
    "flistxattr": lambda w: (marked(w), w.room(), 500),
    "accept": lambda w: (w.listener(), *limited(w, 110)),
    "accept4": lambda w: (w.listener(), *limited(w, 3), 0),
    "getsockname": lambda w: (w.sockets()[0].fileno(), *limited(w, 110)),
    "getpeername": lambda w: (w.sockets()[0].fileno(), *limited(w, 999)),
    "getsockopt": lambda w: (w.listener(), socket.SOL_SOCKET, socket.SO_TYPE, *limited(w, 99)),
    "recvfrom": lambda w: (w.sockets()[0].fileno(), w.room(), 99, 0, *limited(w, 110)),
    "recvmsg": lambda w: (rmsg(w), w.holding(w.msghdr()), 0),
    "recvmmsg": lambda w: (
        rmsg(w),
        w.holding(b"".join(w.msghdr() + words(0) for _ in range(3))),
        3,
        socket.MSG_DONTWAIT,
        w.words(9, 9),
    ),
    "sendmmsg": lambda w: (
        w.sockets()[0].fileno(),
        w.holding((words(0, 0, w.words(w.room(), 3), 1, 0, 0, 0) + words(0)) * 2),
        2,
        0,
    ),
    "msgrcv": lambda w: (w.queue(), w.room(), 100, 0, 0),
    "clone": lambda w: (0x100000 | signal.SIGCHLD, 0, w.room(), w.room(), 0),
    "clone3": lambda w: (
        w.words(0x101000, w.room(), w.room(), w.room(), signal.SIGCHLD, *[0] * 6),
        88,
    ),
    "wait4": lambda w: (w.child(), w.room(), 0, w.room()),
    "waitid": lambda w: (os.P_PID, w.child(), w.room(), os.WEXITED, w.room()),
    "getrusage": lambda w: (0, w.room()),
    "getrlimit": lambda w: (7, w.room()),
    "prlimit64": lambda w: (0, 7, 0, w.room()),
    "getresuid": lambda w: (w.room(), w.room(), w.room()),
    "getresgid": lambda w: (w.room(), w.room(), w.room()),
    "capget": lambda w: (w.ints(0x20080522, 0), w.room()),
    "get_robust_list": lambda w: (0, w.room(), w.room()),
    "sched_getparam": lambda w: (0, w.room()),
    "sched_rr_get_interval": lambda w: (0, w.room()),
    "sched_getaffinity": lambda w: (0, 1024, w.room(2048)),
    "getcpu": lambda w: (w.room(), w.room(), 0),
    "sched_getattr": lambda w: (0, w.room(), 100, 0),
    "mincore": lambda w: (w.base, 5 * 4096, w.room()),
    "get_mempolicy": lambda w: (w.room(), w.room(), 1024, 0, 0),
    "move_pages": lambda w: (0, 2, w.words(w.base, w.base + 4096), 0, w.room(), 0),
    "process_vm_readv": lambda w: (SELF, w.words(w.room(), 9), 1, w.words(w.words(3, 3), 9), 1, 0),
    "uname": lambda w: (w.room(),),
    "sysinfo": lambda w: (w.room(),),
    "rt_sigaction": lambda w: (signal.SIGINT, 0, w.room(), 8),
    "rt_sigprocmask": lambda w: (0, 0, w.room(), 8),
    "rt_sigpending": lambda w: (w.room(), 8),
    "sigaltstack": lambda w: (0, w.room()),
    "gettimeofday": lambda w: (w.room(), w.room()),
    "times": lambda w: (w.room(),),
    "time": lambda w: (w.room(),),
    "clock_gettime": lambda w: (1, w.room()),
    "clock_getres": lambda w: (1, w.room()),
    "adjtimex": lambda w: (w.holding(bytes(208)),),
    "clock_adjtime": lambda w: (0, w.holding(bytes(208))),
    "getitimer": lambda w: (0, w.room()),
    "setitimer": lambda w: (2, w.words(0, 0, 0, 0), w.room()),
    "timer_create": lambda w: (1, 0, w.room()),
    "timerfd_settime": lambda w: (timerfd(w), 0, w.words(0, 0, 9, 0), w.room()),
    "timerfd_gettime": lambda w: (timerfd(w), w.room()),
    "ioctl FIONREAD": lambda w: (w.full_pipe(), 0x541B, w.room()),
    "ioctl TCGETS": lambda w: (w.terminal(), 0x5401, w.room()),
    "ioctl TCGETS2": lambda w: (w.terminal(), 0x802C542A, w.room()),
    "ioctl TIOCGWINSZ": lambda w: (w.terminal(), 0x5413, w.room()),
    "ioctl FS_IOC_FIEMAP": lambda w: (w.file(), 0xC020660B, w.words(0, 1 << 20, 1, 3)),
    "ioctl SIOCGIFCONF": lambda w: (interface(w), 0x8912, w.words(400, w.room())),
    "ioctl SIOCGIFFLAGS": lambda w: (interface(w), 0x8913, w.holding(b"lo\0")),
    "fcntl F_GETLK": lambda w: (w.file(), 5, w.words(1, 0, 9, 0)),
    "fcntl F_GETOWN_EX": lambda w: (w.full_pipe(), 16, w.room()),
    "prctl PR_GET_NAME": lambda w: (16, w.room()),
    "arch_prctl ARCH_GET_FS": lambda w: (0x1003, w.room()),
    "futex FUTEX_WAKE_OP": lambda w: (w.ints(0), 5, 0, 0, w.ints(0), 1 << 12),
    "futex FUTEX_TRYLOCK_PI": lambda w: (w.ints(0), 8, 0, 0, 0, 0),
    "shmctl IPC_STAT": lambda w: (w.ipc((29, 0, 4096, 0o600), (31, 0, 0)), 2, w.room()),
    "shmctl IPC_INFO": lambda w: (0, 3, w.room()),
    "shmctl SHM_INFO": lambda w: (0, 14, w.room()),
    "msgctl IPC_STAT": lambda w: (w.queue(), 2, w.room()),
    "msgctl MSG_INFO": lambda w: (0, 12, w.room()),
    "semctl IPC_STAT": lambda w: (w.ipc((64, 0, 5, 0o600), (66, 0, 0)), 0, 2, w.room()),
    "semctl GETALL": lambda w: (w.ipc((64, 0, 5, 0o600), (66, 0, 0)), 0, 13, w.room()),
    "semctl SEM_INFO": lambda w: (0, 0, 19, w.room()),
    "seccomp SECCOMP_GET_NOTIF_SIZES": lambda w: (3, 0, w.room()),
}

MISSING = {errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES}
"""What a kernel, a file system or a container says that has not got a call."""


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Close what the calls themselves open."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    for fd in set(os.listdir("/proc/self/fd")) - before:
        with contextlib.suppress(OSError):
            os.close(int(fd))


def changed(name: str, fill: int, directory: Path) -> tuple[set[int], list[Range]]:
    """Make a call: addresses of the bytes that it changed, and the ranges it was to keep to."""
    with World(fill, directory) as world:
        nr, args = NR[name.split()[0]], TRIALS[name](world)
        told = writes_of(nr, padded(nr, *args)[1:], world.peek)
        before = world.memory[:]
        result = syscall(nr, *args)
        if name.startswith("clone"):
            if result == 0:
                os._exit(0)
            os.waitpid(result, 0)
        after = world.memory[:]
    return {world.base + i for i in range(SIZE) if before[i] != after[i]}, told


def addresses(told: list[Range]) -> set[int]:
    return {addr for start, size in told for addr in range(start, start + size)}


@pytest.mark.usefixtures("descriptors")
@pytest.mark.parametrize("name", TRIALS)
def test_what_is_written_was_told(name: str, tmp_path: Path) -> None:
    everything = set()
    for fill in (0xA5, 0x5A):
        try:
            written, told = changed(name, fill, tmp_path)
        except OSError as error:
            if error.errno in MISSING:
                pytest.skip(f"{name}: {error.strerror}")
            raise
        everything |= written
        assert written <= addresses(told)
    assert everything, "the call wrote nothing: it shows nothing"


def test_what_is_not_told_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CALLS, NR["uname"], CALLS[NR["sched_getparam"]])
    written, told = changed("uname", 0xA5, tmp_path)
    assert not written <= addresses(told)
