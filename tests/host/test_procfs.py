"""What /proc tells, asked about this process and about children whose state is known."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.live.processes import fork, state
from uemu.abi import PAGE_SIZE, PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE
from uemu.host import native, procfs, tracee
from uemu.host.procfs import ProcessMemory, RealVma, can_go_on, signal_waits

RW = PROT_READ | PROT_WRITE
MAP_PRIVATE, MAP_SHARED, MAP_ANONYMOUS = 0x02, 0x01, 0x20
MAP_HUGETLB, NORESERVE, HUGE = 0x40000, 0x4000, 2 << 20
MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK = 10, 11, 18
READ, POLL, NANOSLEEP, PAUSE, FUTEX, EPOLL_WAIT, SIGTIMEDWAIT = 0, 7, 35, 34, 202, 232, 128
SELECT, PSELECT6, PPOLL, CLOCK_NANOSLEEP, EPOLL_PWAIT, EPOLL_PWAIT2 = 23, 270, 271, 230, 281, 441
RESTART_SYSCALL = 219
DEADLINE_S = 20

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mprotect.argtypes = libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Pages:
    """Three pages of memory between two that are not mapped."""

    def __init__(self, flags: int = MAP_PRIVATE, prot: int = RW) -> None:
        self._outer = libc.mmap(None, 5 * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        self.start = self._outer + PAGE_SIZE
        self.end = self.start + 3 * PAGE_SIZE
        libc.munmap(self._outer, 5 * PAGE_SIZE)
        flags |= MAP_ANONYMOUS | 0x100000  # MAP_FIXED_NOREPLACE
        assert libc.mmap(self.start, 3 * PAGE_SIZE, RW, flags, -1, 0) == self.start
        ctypes.memset(self.start, 0x49, 2 * PAGE_SIZE)
        self.protect(prot)

    def protect(self, prot: int) -> None:
        assert libc.mprotect(self.start, 3 * PAGE_SIZE, prot) == 0

    def advise(self, advice: int) -> None:
        assert libc.madvise(self.start, PAGE_SIZE, advice) == 0

    def close(self) -> None:
        libc.munmap(self.start, 3 * PAGE_SIZE)


@pytest.fixture
def memory() -> Iterator[ProcessMemory]:
    """This process's own."""
    memory = ProcessMemory(os.getpid())
    yield memory
    memory.close()


@pytest.fixture
def pages() -> Iterator[Pages]:
    """Private anonymous memory; the first two pages are full of ``I``, the third untouched."""
    pages = Pages()
    yield pages
    pages.close()


@contextmanager
def child(action: Callable[[], object]) -> Iterator[int]:
    """A child that does something that may last for ever."""
    pid = fork()
    if pid == 0:
        try:
            action()
        finally:
            os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def until(is_so: Callable[[], bool]) -> None:
    """Look until something is so that is going to be."""
    deadline = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline
        os.sched_yield()


def call_of(pid: int) -> str:
    """The number of the call a process sleeps in."""
    with open(f"/proc/{pid}/syscall") as syscall:
        return syscall.read().split()[0]


def until_in(pid: int, number: int) -> None:
    until(lambda: call_of(pid) == str(number) and state(pid) == "S")


def descriptors() -> set[int]:
    """Those that are open, but for the one that it takes to look."""
    found = map(int, os.listdir("/proc/self/fd"))
    return {fd for fd in found if os.path.lexists(f"/proc/self/fd/{fd}")}


# Bytes


def test_bytes_are_read(memory: ProcessMemory, pages: Pages) -> None:
    assert memory.read(pages.start + 5, 7) == b"I" * 7
    assert memory.read(pages.start + 2 * PAGE_SIZE - 1, 2) == b"I\0"


def test_bytes_are_read_where_the_process_may_not(memory: ProcessMemory, pages: Pages) -> None:
    pages.protect(PROT_NONE)
    assert memory.read(pages.start, 3) == b"III"


def test_a_read_is_short_where_the_mapping_ends(memory: ProcessMemory, pages: Pages) -> None:
    assert memory.read(pages.end - 5, 10) == bytes(5)


def test_nothing_is_read_where_nothing_is(memory: ProcessMemory, pages: Pages) -> None:
    for addr in (8, pages.end):
        with pytest.raises(OSError, match="Input/output"):
            memory.read(addr, 4)


def test_bytes_are_written(memory: ProcessMemory, pages: Pages) -> None:
    memory.write(pages.start + PAGE_SIZE - 2, memoryview(b"abcd"))
    assert ctypes.string_at(pages.start + PAGE_SIZE - 3, 6) == b"IabcdI"


def test_bytes_are_written_where_the_process_may_not(memory: ProcessMemory, pages: Pages) -> None:
    pages.protect(PROT_READ)
    memory.write(pages.start, b"abcd")
    assert ctypes.string_at(pages.start, 5) == b"abcdI"


def test_nothing_is_written_where_nothing_is(memory: ProcessMemory, pages: Pages) -> None:
    with pytest.raises(OSError, match="Input/output"):
        memory.write(pages.end - 2, b"abcd")


def test_a_childs_memory_is_its_own(pages: Pages) -> None:
    with child(signal.pause) as pid:
        memory = ProcessMemory(pid)
        memory.write(pages.start, b"child")
        assert memory.read(pages.start, 6) == b"childI"
        assert ctypes.string_at(pages.start, 5) == b"IIIII"
        memory.close()


def test_memory_that_is_gone_is_not_written(pages: Pages) -> None:
    with child(signal.pause) as pid:
        memory = ProcessMemory(pid)
        memory.write(pages.start, b"child")
    with pytest.raises(ProcessLookupError):
        memory.write(pages.start, b"child")
    assert memory.read(pages.start, 5) == b""
    memory.close()


def test_descriptors_are_opened_once_and_given_back(pages: Pages) -> None:
    before = descriptors()
    memory = ProcessMemory(os.getpid())
    assert descriptors() == before
    for _ in range(3):
        memory.read(pages.start, 1)
        memory.write(pages.start, b"x")
        memory.pages(pages.start, 1)
        memory.vma_at(pages.start)
    added = descriptors() - before
    assert 2 <= len(added) <= 3
    assert all(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC for fd in added)
    memory.close()
    memory.close()
    assert descriptors() == before


# Pages


def alone(flags: int) -> bool:
    return bool(flags & procfs.EXCLUSIVE)


def test_a_touched_page_is_present_and_exclusive(memory: ProcessMemory, pages: Pages) -> None:
    first, second, untouched = memory.pages(pages.start, 3)
    for flags in (first, second):
        assert flags & procfs.PRESENT
        assert alone(flags)
        assert not flags & procfs.FILE_OR_SHARED
    assert not untouched & procfs.PRESENT


def test_fork_makes_pages_of_both_shared_until_one_is_written(
    memory: ProcessMemory, pages: Pages
) -> None:
    with child(signal.pause) as pid:
        other = ProcessMemory(pid)
        for flags in (memory.pages(pages.start, 2), other.pages(pages.start, 2)):
            assert all(each & procfs.PRESENT and not alone(each) for each in flags)
        ctypes.memset(pages.start, 0x57, 1)
        assert [alone(each) for each in memory.pages(pages.start, 2)] == [True, False]
        assert [alone(each) for each in other.pages(pages.start, 2)] == [True, False]
        other.close()
    assert all(alone(each) for each in memory.pages(pages.start, 2))


def test_shared_memory_is_told_from_private(memory: ProcessMemory) -> None:
    shared = Pages(MAP_SHARED)
    assert memory.pages(shared.start, 1)[0] & procfs.FILE_OR_SHARED
    shared.close()


def test_what_is_not_mapped_has_entries_too(memory: ProcessMemory, pages: Pages) -> None:
    assert memory.pages(pages.end, 1) == (0,)
    # Beyond the last address there are none; they are as if nothing were mapped.
    assert memory.pages(0x7FFF_FFFF_F000, 4) == (0, 0, 0, 0)


@pytest.mark.parametrize(("length", "nr_pages"), [(0, 0), (1, 1), (4096, 1), (4097, 2)])
def test_the_last_page_of_a_length_counts(length: int, nr_pages: int) -> None:
    assert procfs.nr_pages_of(length) == nr_pages


# Mappings


@pytest.fixture(params=["query", "search"])
def asked(
    request: pytest.FixtureRequest, memory: ProcessMemory, monkeypatch: pytest.MonkeyPatch
) -> ProcessMemory:
    """Either way to ask for a mapping; an old kernel knows the second alone."""
    if request.param == "search":
        # An ioctl that no kernel has.
        monkeypatch.setattr(procfs, "PROCMAP_QUERY", 0xC06866FE)
    else:
        with open("/proc/self/maps") as maps:
            query = bytearray(struct.pack("=Q", 104) + bytes(96))
            try:
                fcntl.ioctl(maps, procfs.PROCMAP_QUERY, query)
            except FileNotFoundError:
                pass
            except OSError as error:
                pytest.skip(f"PROCMAP_QUERY (Linux 6.11): {error}")
    return memory


@pytest.mark.parametrize("prot", [PROT_NONE, PROT_READ, RW, PROT_READ | PROT_EXEC])
def test_a_mapping_has_its_bounds_and_protection(
    asked: ProcessMemory, pages: Pages, prot: int
) -> None:
    pages.protect(prot)
    for addr in (pages.start, pages.start + 5, pages.end - 1):
        assert asked.vma_at(addr) == RealVma(pages.start, pages.end, prot, False)


def test_a_hole_is_no_mapping(asked: ProcessMemory, pages: Pages) -> None:
    assert asked.vma_at(pages.start - 1) is None
    assert asked.vma_at(pages.end) is None
    assert asked.vma_at(0) is None


def test_a_mapping_is_shared_or_not(asked: ProcessMemory) -> None:
    shared = Pages(MAP_SHARED)
    found = asked.vma_at(shared.start)
    assert found is not None
    assert found.shared
    shared.close()


@contextmanager
def hugetlb() -> Iterator[int]:
    """A private mapping of one page of hugetlb, which MAP_NORESERVE allows without a pool."""
    addr = libc.mmap(None, HUGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | NORESERVE, -1, 0)
    if addr in (None, ctypes.c_void_p(-1).value):
        pytest.skip(f"MAP_HUGETLB: {os.strerror(ctypes.get_errno())}")
    try:
        yield addr
    finally:
        libc.munmap(addr, HUGE)


def test_a_mapping_is_of_hugetlb_or_not(asked: ProcessMemory, pages: Pages) -> None:
    with hugetlb() as addr:
        assert asked.vma_at(addr) == RealVma(addr, addr + HUGE, RW, False, hugetlb=True)
    found = asked.vma_at(pages.start)
    assert found is not None
    assert not found.hugetlb
    text = asked.vma_at(ctypes.cast(libc.getpid, ctypes.c_void_p).value or 0)
    assert text is not None
    assert not text.hugetlb


@pytest.mark.parametrize("asks", ["the pages", "smaps"])
def test_an_entry_is_of_a_huge_page_or_not(
    memory: ProcessMemory, monkeypatch: pytest.MonkeyPatch, asks: str
) -> None:
    if asks == "smaps":
        monkeypatch.setattr(fcntl, "ioctl", refuse)
    size = 3 * HUGE
    start = libc.mmap(None, size, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    block = -(-start // HUGE) * HUGE
    libc.madvise(start, size, mmap.MADV_HUGEPAGE)
    assert not memory.has_huge_entry(block, block + HUGE)
    ctypes.memset(block, 1, 1)
    one = block + PAGE_SIZE, block + 2 * PAGE_SIZE
    if not has_anon_huge_pages():
        pytest.skip("this machine gives no transparent huge page")
    assert memory.has_huge_entry(*one)
    libc.mprotect(block, PAGE_SIZE, PROT_READ)
    assert not memory.has_huge_entry(*one)
    libc.munmap(start, size)


def refuse(fd: int, request: int, arg: bytearray) -> int:
    """What a kernel says that does not know a request."""
    raise OSError(25, "Inappropriate ioctl for device")


def has_anon_huge_pages() -> bool:
    """Whether this process has any."""
    with open("/proc/self/smaps") as smaps:
        sizes = [line.split()[1] for line in smaps if line.startswith("AnonHugePages:")]
    return any(size != "0" for size in sizes)


def test_a_mapping_is_looked_up_anew(asked: ProcessMemory, pages: Pages) -> None:
    assert asked.vma_at(pages.start) == RealVma(pages.start, pages.end, RW, False)
    libc.munmap(pages.start, PAGE_SIZE)
    assert asked.vma_at(pages.start) is None
    middle = pages.start + PAGE_SIZE
    assert asked.vma_at(middle) == RealVma(middle, pages.end, RW, False)


def test_an_old_kernel_is_asked_once(
    memory: ProcessMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def ioctl(fd: int, request: int, arg: bytearray) -> int:
        tries.append(request)
        return refuse(fd, request, arg)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    here = ctypes.addressof(ctypes.c_char.from_buffer(bytearray(1)))
    for _ in range(3):
        assert memory.vma_at(here) is not None
    assert tries == [procfs.PROCMAP_QUERY]


def test_both_ways_agree_on_all_of_a_process(memory: ProcessMemory) -> None:
    if not memory._has_query or memory.vma_at(0) is not None or not memory._has_query:
        pytest.skip("PROCMAP_QUERY (Linux 6.11)")
    with child(signal.pause) as pid:
        # A child that does nothing: its mappings stay.
        until_in(pid, PAUSE)
        other = ProcessMemory(pid)
        with open(f"/proc/{pid}/maps") as maps:
            lines = [line for line in maps if "[vsyscall]" not in line]
        assert len(lines) > 10
        for line in lines:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            for addr in (start, end - 1, end):
                assert other._query(addr) == other._search(addr)
        other.close()


# Advice


def test_advice_is_found_in_the_flags_of_its_mapping(memory: ProcessMemory, pages: Pages) -> None:
    assert not {"dc", "wf"} & memory.vm_flags(pages.start)
    pages.advise(MADV_DONTFORK)
    assert "dc" in memory.vm_flags(pages.start)
    assert "dc" not in memory.vm_flags(pages.start + PAGE_SIZE)
    pages.advise(MADV_DOFORK)
    pages.advise(MADV_WIPEONFORK)
    assert "wf" in memory.vm_flags(pages.start)
    assert "dc" not in memory.vm_flags(pages.start)


def test_a_hole_has_no_flags(memory: ProcessMemory, pages: Pages) -> None:
    assert memory.vm_flags(pages.end) == frozenset()


# Who can go on


def sleeps_in(number: int, *args: object) -> Callable[[], object]:
    return lambda: libc.syscall(number, *args)


A_DAY = (ctypes.c_long * 2)(86_400, 0)
A_DAY_MS = 86_400_000
NO_FDS = ctypes.c_void_p(None)
WORD = ctypes.c_int(0)
FOREVER = ctypes.c_void_p(None)
SIGNALS = ctypes.c_ulong(1 << 11)


def epoll(number: int, timeout: object) -> Callable[[], object]:
    events = ctypes.create_string_buffer(64)

    def wait() -> object:
        return libc.syscall(number, libc.epoll_create1(0), events, 1, timeout, FOREVER, 8)

    return wait


TIMED = {
    "nanosleep": (NANOSLEEP, sleeps_in(NANOSLEEP, A_DAY, None)),
    "clock_nanosleep": (CLOCK_NANOSLEEP, sleeps_in(CLOCK_NANOSLEEP, 1, 0, A_DAY, None)),
    "poll": (POLL, sleeps_in(POLL, NO_FDS, 0, A_DAY_MS)),
    # Its timeout is an int: what the high half of the register holds does not matter.
    "poll of 32 bits": (POLL, sleeps_in(POLL, NO_FDS, 0, ctypes.c_ulong(1 << 32 | A_DAY_MS))),
    "ppoll": (PPOLL, sleeps_in(PPOLL, NO_FDS, 0, A_DAY, None, 8)),
    "select": (SELECT, sleeps_in(SELECT, 0, None, None, None, A_DAY)),
    "pselect6": (PSELECT6, sleeps_in(PSELECT6, 0, None, None, None, A_DAY, None)),
    "futex": (FUTEX, sleeps_in(FUTEX, ctypes.byref(WORD), 0, 0, A_DAY, None, 0)),
    "rt_sigtimedwait": (
        SIGTIMEDWAIT,
        sleeps_in(SIGTIMEDWAIT, ctypes.byref(SIGNALS), None, A_DAY, 8),
    ),
    "epoll_wait": (EPOLL_WAIT, epoll(EPOLL_WAIT, A_DAY_MS)),
    "epoll_pwait": (EPOLL_PWAIT, epoll(EPOLL_PWAIT, A_DAY_MS)),
    "epoll_pwait2": (EPOLL_PWAIT2, epoll(EPOLL_PWAIT2, A_DAY)),
}

UNTIMED = {
    "poll": (POLL, sleeps_in(POLL, NO_FDS, 0, -1)),
    "ppoll": (PPOLL, sleeps_in(PPOLL, NO_FDS, 0, FOREVER, None, 8)),
    "select": (SELECT, sleeps_in(SELECT, 0, None, None, None, FOREVER)),
    "pselect6": (PSELECT6, sleeps_in(PSELECT6, 0, None, None, None, FOREVER, None)),
    "futex": (FUTEX, sleeps_in(FUTEX, ctypes.byref(WORD), 0, 0, FOREVER, None, 0)),
    "rt_sigtimedwait": (
        SIGTIMEDWAIT,
        sleeps_in(SIGTIMEDWAIT, ctypes.byref(SIGNALS), None, FOREVER, 8),
    ),
    "epoll_wait": (EPOLL_WAIT, epoll(EPOLL_WAIT, -1)),
    "epoll_pwait": (EPOLL_PWAIT, epoll(EPOLL_PWAIT, -1)),
    "epoll_pwait2": (EPOLL_PWAIT2, epoll(EPOLL_PWAIT2, FOREVER)),
    "pause": (PAUSE, sleeps_in(PAUSE)),
}


@pytest.mark.parametrize("name", TIMED)
def test_who_sleeps_for_a_time_can_go_on(name: str) -> None:
    number, sleep = TIMED[name]
    with child(sleep) as pid:
        until_in(pid, number)
        assert can_go_on(pid)


@pytest.mark.parametrize("name", UNTIMED)
def test_who_sleeps_until_somebody_comes_cannot(name: str) -> None:
    number, sleep = UNTIMED[name]
    with child(sleep) as pid:
        until_in(pid, number)
        assert not can_go_on(pid)


def test_every_timed_call_is_tested() -> None:
    assert {number for number, _ in TIMED.values()} == procfs.TIMED_CALLS - {RESTART_SYSCALL}
    assert set(procfs._TIMEOUT_ARG) == procfs.TIMED_CALLS - {RESTART_SYSCALL}


def test_who_reads_from_a_pipe_cannot_go_on() -> None:
    reader, writer = os.pipe()
    with child(lambda: os.read(reader, 1)) as pid:
        until_in(pid, READ)
        assert not can_go_on(pid)
    os.close(reader)
    os.close(writer)


def busy() -> None:
    while True:
        pass


def test_who_runs_can_go_on() -> None:
    with child(busy) as pid:
        assert can_go_on(pid)


def test_a_sleep_that_was_interrupted_is_a_sleep_still() -> None:
    number, sleep = TIMED["nanosleep"]
    with child(sleep) as pid:
        until_in(pid, number)
        interrupt(pid)
        assert can_go_on(pid)


def test_what_a_stop_interrupted_counts_as_timed_since_nothing_tells_what_it_was() -> None:
    number, sleep = UNTIMED["poll"]
    with child(sleep) as pid:
        until_in(pid, number)
        assert not can_go_on(pid)
        interrupt(pid)
        assert can_go_on(pid)


def interrupt(pid: int) -> None:
    """Stop a process in a call and let it go on with it, as whoever traces it may."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state(pid) == "T")
    os.kill(pid, signal.SIGCONT)
    until_in(pid, RESTART_SYSCALL)


def test_the_dead_cannot_go_on() -> None:
    with child(lambda: None) as pid:
        until(lambda: state(pid) == "Z")
        assert not can_go_on(pid)
    assert not can_go_on(pid)


# Names and signals


def test_a_process_is_called_as_by_ps() -> None:
    with open("/proc/self/comm") as comm:
        assert procfs.name_of_process(os.getpid()) == comm.read().strip()
    with child(lambda: None) as pid:
        pass
    assert procfs.name_of_process(pid) == "?"


def test_a_zombie_is_dead_and_so_is_who_is_gone() -> None:
    with child(signal.pause) as pid:
        assert not procfs.is_dead(pid)
    assert procfs.is_dead(pid)
    with child(lambda: None) as pid:
        until(lambda: state(pid) == "Z")
        assert procfs.is_dead(pid)


def test_a_thread_belongs_to_its_process_and_a_process_to_its_parent() -> None:
    assert procfs.parent_of(os.getpid()) == os.getppid()
    with child(signal.pause) as pid:
        assert procfs.parent_of(pid) == os.getpid()
    assert procfs.parent_of(pid) is None
    found = []
    thread = threading.Thread(
        target=lambda: found.append(procfs.parent_of(threading.get_native_id()))
    )
    thread.start()
    thread.join()
    assert found == [os.getpid()]


def test_a_signal_waits_until_it_can_be_delivered() -> None:
    with child(signal.pause) as pid:
        until_in(pid, PAUSE)
        assert not signal_waits(pid)
        os.kill(pid, signal.SIGSTOP)
        until(lambda: state(pid) == "T")
        assert not signal_waits(pid)
        os.kill(pid, signal.SIGUSR1)
        assert signal_waits(pid)


def test_a_blocked_signal_does_not_count() -> None:
    def pause() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR1])
        signal.pause()

    with child(pause) as pid:
        until_in(pid, PAUSE)
        os.kill(pid, signal.SIGUSR1)
        assert not signal_waits(pid)
        os.kill(pid, signal.SIGSTOP)
        until(lambda: state(pid) == "T")
        os.kill(pid, signal.SIGUSR2)
        assert signal_waits(pid)


@pytest.mark.needs_ptrace
@pytest.mark.parametrize(
    ("number", "ignored", "waits"),
    [
        (signal.SIGUSR1, False, True),
        (signal.SIGUSR1, True, False),
        (signal.SIGCHLD, False, False),
        (signal.SIGWINCH, False, False),
        (signal.SIGURG, False, False),
        (signal.SIGCONT, False, True),
    ],
)
def test_a_signal_that_does_nothing_does_not_count(
    number: signal.Signals, ignored: bool, waits: bool
) -> None:
    """For who is traced it is pending nevertheless."""
    before = signal.signal(number, signal.SIG_IGN) if ignored else None
    pid = tracee.start(str(native.PUPPET), ["program"], [])
    if ignored:
        signal.signal(number, before)
    os.kill(pid, number)
    with open(f"/proc/{pid}/status") as status:
        assert f"ShdPnd:\t{1 << number - 1:016x}\n" in status
    assert signal_waits(pid) is waits
    native.end(pid)


def test_for_the_dead_no_signal_waits() -> None:
    with child(lambda: None) as pid:
        pass
    assert not signal_waits(pid)


def test_the_layout_of_the_query_is_the_kernels() -> None:
    """Source: include/uapi/linux/fs.h, struct procmap_query: 104 bytes, _IOWR('f', 17)."""
    assert procfs._QUERY.size == 104
    assert 3 << 30 | 104 << 16 | ord("f") << 8 | 17 == procfs.PROCMAP_QUERY
    assert mmap.PAGESIZE == PAGE_SIZE


def test_which_byte_of_which_file_is_mapped_at_an_address() -> None:
    fd = os.memfd_create("mapped", os.MFD_CLOEXEC)
    os.ftruncate(fd, 4 * PAGE_SIZE)
    with mmap.mmap(fd, 2 * PAGE_SIZE, offset=PAGE_SIZE) as mapped:
        start = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        inode = os.fstat(fd).st_ino
        assert procfs.mapped_file_at(os.getpid(), start) == (inode, PAGE_SIZE)
        assert procfs.mapped_file_at(os.getpid(), start + PAGE_SIZE + 5) == (
            inode, 2 * PAGE_SIZE + 5
        )  # fmt: skip
    os.close(fd)


def test_no_file_is_mapped_where_memory_is_anonymous_or_there_is_none() -> None:
    pages = Pages()
    assert procfs.mapped_file_at(os.getpid(), pages.start) is None
    pages.close()
    assert procfs.mapped_file_at(os.getpid(), pages.start) is None
    assert procfs.mapped_file_at(os.getpid(), 8) is None


def test_who_has_begun_to_die_has_no_memory() -> None:
    child = fork()
    if child == 0:
        signal.pause()
    assert procfs.has_memory(child)
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert not procfs.has_memory(child)
    os.waitpid(child, 0)
    assert not procfs.has_memory(child)
