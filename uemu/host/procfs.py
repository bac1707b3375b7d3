"""What /proc tells of a process's memory: its mappings, its pages, its bytes.

Everything here is had without privilege, by who may trace the process.
Source: Documentation/filesystems/proc.rst, Documentation/admin-guide/mm/pagemap.rst.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import struct
from array import array
from typing import Final, NamedTuple

from uemu.abi import PAGE_SHIFT, PAGE_SIZE

PRESENT: Final = 1 << 63
SWAPPED: Final = 1 << 62
FILE_OR_SHARED: Final = 1 << 61
EXCLUSIVE: Final = 1 << 56
"""Bits of an entry of /proc/PID/pagemap."""

PAGEMAP_SCAN: Final = 0xC0606610
_SCAN = struct.Struct("=12Q")
_PAGE_IS_HUGE = 1 << 6

PROCMAP_QUERY: Final = 0xC0686611
_QUERY = struct.Struct("=9Q4I2Q")
_NAME_SIZE = 4096
"""PATH_MAX."""
_READABLE, _WRITABLE, _EXECUTABLE, _SHARED = 1, 2, 4, 8

TIMED_CALLS: Final = frozenset({7, 23, 35, 128, 202, 219, 230, 232, 270, 271, 281, 441})
"""Calls that may sleep for a time and then go on by themselves.

poll, select, nanosleep, rt_sigtimedwait, futex, restart_syscall,
clock_nanosleep, epoll_wait, pselect6, ppoll, epoll_pwait, epoll_pwait2.
"""


class RealVma(NamedTuple):
    """A mapping of a real process; addresses in bytes.

    Attributes:
        prot: PROT_*.
        shared: MAP_SHARED.
        hugetlb: in pages of hugetlb, of which no part can be mapped otherwise.
    """

    start: int
    end: int
    prot: int
    shared: bool
    hugetlb: bool = False


class ProcessMemory:
    """One address space, through /proc; it is that of ``pid`` when first asked."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._fds: dict[str, int] = {}
        self._has_query = True

    def _fd(self, name: str, flags: int) -> int:
        fd = self._fds.get(name)
        if fd is None:
            fd = self._fds[name] = self._open(name, flags | os.O_CLOEXEC)
        return fd

    def _open(self, name: str, flags: int) -> int:
        return os.open(self._path(name), flags)

    def _path(self, name: str) -> str:
        folder = f"/proc/{self._pid}"
        if is_dead(self._pid):
            # A leader that ended before its threads has left its address space to them.
            tids = os.listdir(f"{folder}/task")
            folder = next((f"/proc/{tid}" for tid in tids if not is_dead(int(tid))), folder)
        return f"{folder}/{name}"

    def close(self) -> None:
        """Give the descriptors back."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def read(self, addr: int, length: int) -> bytes:
        """Bytes, even where the process may not read; short where nothing is mapped.

        Raises:
            OSError: nothing is mapped at ``addr``.
        """
        return os.pread(self._fd("mem", os.O_RDWR), length, addr)

    def write(self, addr: int, data: bytes | memoryview) -> None:
        """Store bytes, even where the process may not.

        Raises:
            OSError: not all of it is mapped.
        """
        fd, done = self._fd("mem", os.O_RDWR), 0
        while done < len(data):
            count = os.pwrite(fd, data[done:], addr + done)
            if count == 0:
                raise ProcessLookupError(errno.ESRCH, "its address space is gone")
            done += count

    def pages(self, base: int, nr_pages: int) -> tuple[int, ...]:
        """The pagemap entries of ``nr_pages`` pages from ``base`` on."""
        fd = self._fd("pagemap", os.O_RDONLY)
        data = os.pread(fd, 8 * nr_pages, (base >> PAGE_SHIFT) * 8)
        data += bytes(8 * nr_pages - len(data))
        return struct.unpack(f"={nr_pages}Q", data)

    def maps(self) -> bytes:
        """All of its mappings, as /proc/PID/maps lists them; nothing if it is gone."""
        fd, parts, at = self._fd("maps", os.O_RDONLY), [], 0
        while part := os.pread(fd, 1 << 16, at):
            parts.append(part)
            at += len(part)
        return b"".join(parts)

    def vma_at(self, addr: int) -> RealVma | None:
        """The mapping that contains ``addr``."""
        if self._has_query:
            try:
                return self._query(addr)
            except OSError as error:
                if error.errno not in (errno.ENOTTY, errno.EINVAL):
                    raise
                self._has_query = False
        return self._search(addr)

    def _query(self, addr: int) -> RealVma | None:
        """Since Linux kernel commit ed5d583a88a9 ("fs/procfs: implement efficient VMA
        querying API for /proc/<pid>/maps") (in v6.11)."""
        fd = self._fd("maps", os.O_RDONLY)
        question = bytearray(_QUERY.pack(_QUERY.size, 0, addr, *(0,) * 12))
        try:
            fcntl.ioctl(fd, PROCMAP_QUERY, question)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        _, _, _, start, end, flags, page_size, *_ = _QUERY.unpack(question)
        prot = flags & (_READABLE | _WRITABLE | _EXECUTABLE)
        return RealVma(start, end, prot, bool(flags & _SHARED), page_size > PAGE_SIZE)

    def name_at(self, addr: int) -> str:
        """What is mapped at ``addr``: a file's path or, as /proc calls it, ``[heap]``.

        Memory that nothing is behind has no name.
        """
        # Only here: a program without direct I/O never comes here.
        import ctypes

        if not self._has_query:
            return self._search_name(addr)
        name = ctypes.create_string_buffer(_NAME_SIZE)
        where = ctypes.addressof(name)
        question = bytearray(_QUERY.pack(_QUERY.size, 0, addr, *(0,) * 8, _NAME_SIZE, 0, where, 0))
        try:
            fcntl.ioctl(self._fd("maps", os.O_RDONLY), PROCMAP_QUERY, question)
        except OSError:
            return self._search_name(addr)
        return os.fsdecode(name.value)

    def _search_name(self, addr: int) -> str:
        for line in os.fsdecode(self.maps()).splitlines():
            where, _, _, _, _, *name = line.split(maxsplit=5)
            start, end = (int(part, 16) for part in where.split("-"))
            if start <= addr < end:
                return "".join(name)
        return ""

    def _search(self, addr: int) -> RealVma | None:
        with open(self._path("maps")) as maps:
            for line in maps:
                where, perms, _, _, inode, *_ = line.split(maxsplit=5)
                start, end = (int(part, 16) for part in where.split("-"))
                if start <= addr < end:
                    bits = zip("rwx", (_READABLE, _WRITABLE, _EXECUTABLE), strict=True)
                    prot = sum(bit for letter, bit in bits if letter in perms)
                    # Pages of hugetlb are a file's, MAP_ANONYMOUS or not.
                    hugetlb = inode != "0" and "ht" in self.vm_flags(addr)
                    return RealVma(start, end, prot, perms[3] == "s", hugetlb)
        return None

    def vm_flags(self, addr: int) -> frozenset[str]:
        """The two-letter VmFlags of the mapping at ``addr``: ``dc``, ``wf`` ..."""
        return frozenset(self._in_smaps(addr, "VmFlags:"))

    def has_huge_entry(self, start: int, end: int) -> bool:
        """Whether an entry for a whole huge page maps any of ``[start, end)``.

        Since Linux kernel commit 52526ca7fdb9 ("fs/proc/task_mmu: implement IOCTL to get
        and optionally clear info about PTEs") (in v6.7); before, whether one maps any of
        the mapping that ``start`` lies in.
        """
        found = array("Q", (0, 0, 0))  # struct page_region
        where, huge = found.buffer_info()[0], _PAGE_IS_HUGE
        ask = bytearray(_SCAN.pack(_SCAN.size, 0, start, end, 0, where, 1, 0, 0, huge, 0, huge))
        try:
            nr_found: int = fcntl.ioctl(self._fd("pagemap", os.O_RDONLY), PAGEMAP_SCAN, ask)
            return nr_found > 0
        except OSError as error:
            if error.errno not in (errno.ENOTTY, errno.EINVAL):
                raise
        return self._in_smaps(start, "AnonHugePages:")[:1] not in ([], ["0"])

    def _in_smaps(self, addr: int, field: str) -> list[str]:
        """The words of a field that smaps has of the mapping at ``addr``."""
        inside = False
        with open(self._path("smaps")) as smaps:
            for line in smaps:
                head = line.split(maxsplit=1)[0]
                if "-" in head and not head.endswith(":"):
                    start, end = (int(part, 16) for part in head.split("-"))
                    inside = start <= addr < end
                elif inside and head == field:
                    return line.split()[1:]
        return []


def mapped_file_at(pid: int, addr: int) -> tuple[int, int] | None:
    """The inode of the file that is mapped at ``addr``, and which of its bytes lies there."""
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            where, _, offset, _, inode = line.split(maxsplit=5)[:5]
            start, end = (int(part, 16) for part in where.split("-"))
            if start <= addr < end:
                return (int(inode), int(offset, 16) + addr - start) if inode != "0" else None
    return None


def has_memory(pid: int) -> bool:
    """Whether anything is mapped; nothing is once a process has begun to die."""
    try:
        with open(f"/proc/{pid}/maps") as maps:
            return maps.readline() != ""
    except (FileNotFoundError, ProcessLookupError):
        return False


def nr_pages_of(length: int) -> int:
    """How many pages ``length`` bytes from a page's start on are."""
    return (length + PAGE_SIZE - 1) >> PAGE_SHIFT


def can_go_on(tid: int) -> bool:
    """Whether a running thread may do something of its own accord: it runs, or sleeps timed."""
    try:
        with open(f"/proc/{tid}/stat", "rb") as record:
            state = record.read().rpartition(b")")[2].split()[0]
        if state not in (b"S", b"t", b"T"):
            return state in (b"R", b"D")
        with open(f"/proc/{tid}/syscall") as syscall:
            words = syscall.read().split()
    except OSError:
        return False
    if words[0] == "running":
        return True
    number = int(words[0])
    if number not in TIMED_CALLS:
        return False
    return _has_timeout(number, [int(word, 16) for word in words[1:7]])


_TIMEOUT_ARG = {
    **{7: 2, 23: 4, 35: 0, 128: 2, 202: 3, 230: 2, 232: 3},
    **{270: 4, 271: 2, 281: 3, 441: 3},
}
_IN_MS = (7, 232, 281)


def _has_timeout(number: int, args: list[int]) -> bool:
    if number not in _TIMEOUT_ARG:
        # restart_syscall goes on with a sleep that something interrupted.
        return True
    value = args[_TIMEOUT_ARG[number]]
    if number in _IN_MS:
        return value & 0xFFFF_FFFF < 1 << 31
    return value != 0


def name_of_process(pid: int) -> str:
    """What ps would call it."""
    try:
        with open(f"/proc/{pid}/comm") as comm:
            return comm.read().rstrip("\n")
    except OSError:
        return "?"


def is_dead(tid: int) -> bool:
    """Whether a thread is gone, or dead: a leader waits so for the end of its threads."""
    try:
        with open(f"/proc/{tid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except OSError:
        return True


def parent_of(tid: int) -> int | None:
    """The process that a thread belongs to or, of a leader, is a child of; None: it is gone."""
    try:
        with open(f"/proc/{tid}/status") as status:
            words = dict(line.split(":\t", 1) for line in status if line.startswith(("Tg", "PP")))
    except OSError:
        return None
    group = int(words["Tgid"])
    return int(words["PPid"]) if group == tid else group


HARMLESS: Final = sum(1 << sig - 1 for sig in (signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH))
"""Signals that do nothing unless there is a handler."""


def signal_waits(tid: int) -> bool:
    """Whether a signal is pending that a thread neither blocks nor ignores."""
    try:
        with open(f"/proc/{tid}/status") as status:
            words = dict(line.split(":", 1) for line in status if line.startswith(("Sig", "Shd")))
    except OSError:
        return False
    sets = {name: int(words[name], 16) for name in words if name != "SigQ"}
    ignored = sets["SigIgn"] | HARMLESS & ~sets["SigCgt"]
    return bool((sets["SigPnd"] | sets["ShdPnd"]) & ~sets["SigBlk"] & ~ignored)


def has_privileges(pid: int) -> bool:
    """Whether the program a process runs would give it another user or group."""
    try:
        program = os.stat(f"/proc/{pid}/exe")
    except OSError:
        return False
    as_user = program.st_mode & stat.S_ISUID and program.st_uid != os.geteuid()
    as_group = program.st_mode & stat.S_ISGID and program.st_gid != os.getegid()
    return bool(as_user or as_group)
