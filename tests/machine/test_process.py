"""What a process can do: real stores and loads, fork, and the memory calls."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable

import pytest

import uemu
from tests.live.processes import filled, parent_of, state
from uemu.events import Stored

pytestmark = pytest.mark.needs_ptrace

PAGE = uemu.PAGE_SIZE
RW = uemu.PROT_READ | uemu.PROT_WRITE

SIZES = (1, 2, 3, 4, 7, 8, 16, 511, PAGE - 1, PAGE, PAGE + 1, 10_000)
OFFSETS = (0, 1, 3, 7, PAGE - 8, PAGE - 7, PAGE - 4, PAGE - 1)


def pattern(length: int) -> bytes:
    """Bytes that differ from their neighbours."""
    return bytes(1 + i % 251 for i in range(length))


def refused(call: Callable[[], object]) -> tuple[int, int]:
    """The errno and address of the Fault that a call raises."""
    with pytest.raises(uemu.Fault) as fault:
        call()
    return fault.value.errno, fault.value.addr


# Stores and loads


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("size", SIZES)
def test_what_is_stored_is_loaded_and_nothing_beside_it(
    process: uemu.Process, size: int, offset: int
) -> None:
    buf = process.mmap(4 * PAGE)
    data = pattern(size)
    process.store(buf + offset, data)
    assert process.load(buf + offset, size) == data
    whole = process.load(buf, 4 * PAGE)
    assert whole == data.rjust(offset + size, b"\0").ljust(4 * PAGE, b"\0")


@pytest.mark.parametrize("offset", [0, PAGE - 8, PAGE - 7, PAGE - 1])
@pytest.mark.parametrize("size", [1, 2, 4, 8, 9, PAGE, 10_000])
def test_a_store_over_shared_pages_breaks_their_cow_and_no_others(
    process: uemu.Process, machine: uemu.Machine, size: int, offset: int
) -> None:
    buf = process.mmap(5 * PAGE)
    process.store(buf, b"I" * 5 * PAGE)
    child = process.fork()
    before = [machine.frame_of(process, buf + page * PAGE) for page in range(5)]
    child.store(buf + offset, pattern(size))
    assert process.load(buf, 5 * PAGE) == b"I" * 5 * PAGE
    stored = (b"I" * offset + pattern(size)).ljust(5 * PAGE, b"I")
    assert child.load(buf, 5 * PAGE) == stored
    touched = {
        page for page in range(5) if page * PAGE < offset + size and offset < (page + 1) * PAGE
    }
    after = [machine.frame_of(child, buf + page * PAGE) for page in range(5)]
    assert {page for page in range(5) if before[page] != after[page]} == touched


def test_untouched_memory_reads_as_zeros(process: uemu.Process) -> None:
    buf = process.mmap(2 * PAGE)
    assert process.load(buf, 2 * PAGE) == bytes(2 * PAGE)
    process.store(buf + 5, b"x")
    assert process.load(buf, 8) == b"\0\0\0\0\0x\0\0"


def test_the_page_of_zeros_is_mapped_for_reading_and_never_written() -> None:
    with uemu.Machine(policy="linux-6.5") as machine:
        one, other = machine.spawn(), machine.spawn()
        here, there = one.mmap(PAGE), other.mmap(PAGE)
        assert one.load(here, PAGE) == other.load(there, PAGE) == bytes(PAGE)
        assert machine.frame_of(one, here) == machine.frame_of(other, there)
        one.store(here, b"x")
        assert machine.frame_of(one, here) != machine.frame_of(other, there)
        assert other.load(there, PAGE) == bytes(PAGE)
        machine.check()


@pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_of_any_kind_can_be_stored(
    process: uemu.Process, data: bytearray | memoryview
) -> None:
    buf = process.mmap(PAGE)
    process.store(buf, data)  # type: ignore[arg-type]
    assert process.load(buf, 3) == b"abc"


def test_a_thread_stores_and_sees_cow(process: uemu.Process) -> None:
    buf = process.mmap(PAGE)
    process.store(buf, b"I" * PAGE)
    thread = process.thread()
    child = process.fork()
    thread.store(buf, b"T")
    assert process.load(buf, 2) == thread.load(buf, 2) == b"TI"
    assert child.load(buf, 2) == b"II"
    child_thread = child.thread()
    child_thread.store(buf + 1, b"C")
    assert child.load(buf, 2) == b"IC"
    assert thread.load(buf, 2) == b"TI"


# Accesses that the kernel refuses


def test_an_access_to_unmapped_memory_names_the_address(process: uemu.Process) -> None:
    buf = process.mmap(PAGE)
    for addr in (0, 8, buf - 1, buf + PAGE, buf + PAGE + 5, 1 << 46, -1, 1 << 63, 1 << 64):
        assert refused(lambda addr=addr: process.store(addr, b"x")) == (errno.EFAULT, addr)  # type: ignore[misc]
        assert refused(lambda addr=addr: process.load(addr, 1)) == (errno.EFAULT, addr)  # type: ignore[misc]
    process.store(buf, b"x")
    assert process.load(buf, 1) == b"x"


@pytest.mark.parametrize("size", [2, 4, 8, 16, PAGE])
def test_a_store_into_unmapped_memory_names_the_first_byte_that_failed(
    process: uemu.Process, size: int
) -> None:
    buf = process.mmap(PAGE)
    end = buf + PAGE
    assert refused(lambda: process.store(end - 1, pattern(size))) == (errno.EFAULT, end)
    assert refused(lambda: process.load(end - 1, size)) == (errno.EFAULT, end)
    # One mov stores all or nothing; rep movsb has stored what came before.
    assert process.load(end - 1, 1) == (b"\0" if size <= 8 else b"\1")


def test_what_a_store_did_before_it_failed_is_told(
    process: uemu.Process, machine: uemu.Machine
) -> None:
    buf = process.mmap(PAGE)
    refused(lambda: process.store(buf + PAGE - 3, b"abcdefghi"))
    refused(lambda: process.store(buf + PAGE - 4, b"12345678"))
    stored = [event for event in machine.timeline if isinstance(event, Stored)]
    assert [(event.addr, event.data) for event in stored] == [(buf + PAGE - 3, b"abc")]
    assert process.load(buf + PAGE - 4, 4) == b"\0abc"


def test_read_only_memory_can_be_loaded_and_not_stored(process: uemu.Process) -> None:
    buf = process.mmap(2 * PAGE)
    process.store(buf, b"I" * 2 * PAGE)
    process.mprotect(buf, PAGE, uemu.PROT_READ)
    assert refused(lambda: process.store(buf + 7, b"x")) == (errno.EFAULT, buf + 7)
    assert process.load(buf, 8) == b"I" * 8
    process.store(buf + PAGE, b"x")
    process.mprotect(buf, PAGE, RW)
    process.store(buf + 7, b"x")
    assert process.load(buf, 8) == b"IIIIIIIx"


def test_memory_without_access_can_neither_be_loaded_nor_stored(process: uemu.Process) -> None:
    buf = process.mmap(PAGE)
    process.store(buf, b"I" * PAGE)
    process.mprotect(buf, PAGE, uemu.PROT_NONE)
    assert refused(lambda: process.store(buf + 1, b"x")) == (errno.EFAULT, buf + 1)
    assert refused(lambda: process.load(buf + 2, 1)) == (errno.EFAULT, buf + 2)
    child = process.fork()
    for each in (process, child):
        each.mprotect(buf, PAGE, RW)
        assert each.load(buf, 2) == b"II"
    child.store(buf, b"C")
    assert process.load(buf, 2) == b"II"


@pytest.mark.parametrize("prot", [uemu.PROT_NONE, uemu.PROT_READ])
def test_memory_may_be_mapped_with_less_access(process: uemu.Process, prot: int) -> None:
    buf = process.mmap(PAGE, prot)
    assert refused(lambda: process.store(buf, b"x")) == (errno.EFAULT, buf)
    if prot == uemu.PROT_READ:
        assert process.load(buf, 1) == b"\0"
    else:
        assert refused(lambda: process.load(buf, 1)) == (errno.EFAULT, buf)
    process.mprotect(buf, PAGE, RW)
    process.store(buf, b"x")
    assert process.load(buf, 1) == b"x"


def test_mprotect_of_the_middle_leaves_the_rest(process: uemu.Process) -> None:
    buf = process.mmap(3 * PAGE)
    process.store(buf, b"I" * 3 * PAGE)
    process.mprotect(buf + PAGE, PAGE, uemu.PROT_READ)
    process.store(buf, b"x")
    process.store(buf + 2 * PAGE, b"x")
    assert refused(lambda: process.store(buf, b"y" * 3 * PAGE)) == (errno.EFAULT, buf + PAGE)
    assert process.load(buf, 3 * PAGE) == b"y" * PAGE + b"I" * PAGE + b"x" + b"I" * (PAGE - 1)


# munmap and mmap


def test_unmapped_memory_is_gone_and_its_neighbours_are_not(
    process: uemu.Process, machine: uemu.Machine
) -> None:
    buf = process.mmap(3 * PAGE)
    process.store(buf, b"I" * 3 * PAGE)
    process.munmap(buf + PAGE, PAGE)
    assert len(machine.pfns) == 2
    assert refused(lambda: process.load(buf + PAGE, 1)) == (errno.EFAULT, buf + PAGE)
    process.store(buf, b"x")
    process.store(buf + 2 * PAGE, b"x")
    process.munmap(buf, 3 * PAGE)
    assert machine.pfns == []


def test_what_is_not_mapped_may_be_unmapped(process: uemu.Process) -> None:
    buf = process.mmap(PAGE)
    process.munmap(buf + 100 * PAGE, PAGE)
    process.munmap(buf, PAGE)
    process.munmap(buf, PAGE)
    process.munmap(0, 1 << 46)
    assert process.load(process.mmap(PAGE), 1) == b"\0"


def test_a_child_may_unmap_what_its_parent_keeps(process: uemu.Process) -> None:
    buf = process.mmap(PAGE)
    process.store(buf, b"I")
    child = process.fork()
    child.munmap(buf, PAGE)
    assert refused(lambda: child.load(buf, 1)) == (errno.EFAULT, buf)
    assert process.load(buf, 1) == b"I"


def test_mappings_do_not_touch_each_other(process: uemu.Process) -> None:
    bufs = [process.mmap(length) for length in (1, PAGE, PAGE + 1)]
    for number, buf in enumerate(bufs):
        process.store(buf, b"%d" % number)
    assert [process.load(buf, 1) for buf in bufs] == [b"0", b"1", b"2"]
    assert refused(lambda: process.load(bufs[0] + PAGE, 1)) == (errno.EFAULT, bufs[0] + PAGE)
    assert process.load(bufs[2] + PAGE, 1) == b"\0"  # one byte more is one page more


# madvise


def test_dontfork_memory_is_not_in_the_child(process: uemu.Process) -> None:
    buf = process.mmap(3 * PAGE)
    process.store(buf, b"I" * 3 * PAGE)
    process.madvise(buf + PAGE, PAGE, uemu.MADV_DONTFORK)
    child = process.fork()
    assert refused(lambda: child.load(buf + PAGE, 1)) == (errno.EFAULT, buf + PAGE)
    assert child.load(buf, 1) == child.load(buf + 2 * PAGE, 1) == b"I"
    process.store(buf + PAGE, b"x")
    process.madvise(buf + PAGE, PAGE, uemu.MADV_DOFORK)
    assert process.fork().load(buf + PAGE, 1) == b"x"


def test_wipeonfork_memory_is_zeros_in_the_child() -> None:
    with uemu.Machine(policy="linux-6.5") as machine:
        process = machine.spawn()
        buf = process.mmap(2 * PAGE)
        process.store(buf, b"I" * 2 * PAGE)
        process.madvise(buf, PAGE, uemu.MADV_WIPEONFORK)
        child = process.fork()
        assert child.load(buf, 2 * PAGE) == bytes(PAGE) + b"I" * PAGE
        assert process.load(buf, 2 * PAGE) == b"I" * 2 * PAGE
        child.store(buf, b"C")
        assert child.fork().load(buf, 1) == b"\0"
        process.madvise(buf, PAGE, uemu.MADV_KEEPONFORK)
        assert process.fork().load(buf, 1) == b"I"
        machine.check()


def test_a_kernel_of_2009_knows_no_wipeonfork(process: uemu.Process) -> None:
    buf = process.mmap(PAGE)
    for advice in (uemu.MADV_WIPEONFORK, uemu.MADV_KEEPONFORK):
        assert refused(lambda a=advice: process.madvise(buf, PAGE, a)) == (errno.EINVAL, buf)  # type: ignore[misc]


def test_dontneed_memory_reads_as_zeros_again(process: uemu.Process, machine: uemu.Machine) -> None:
    buf = process.mmap(2 * PAGE)
    process.store(buf, b"I" * 2 * PAGE)
    child = process.fork()
    process.madvise(buf, PAGE, uemu.MADV_DONTNEED)
    assert process.load(buf, 2 * PAGE) == bytes(PAGE) + b"I" * PAGE
    assert child.load(buf, 2 * PAGE) == b"I" * 2 * PAGE
    process.store(buf, b"x")
    assert process.load(buf, 2) == b"x\0"


# fork


def test_a_child_is_a_real_child(process: uemu.Process) -> None:
    child = process.fork()
    assert child.pid != process.pid
    assert parent_of(child.pid) == process.pid
    assert state(child.pid) == "t"
    assert (process.name, child.name) == ("parent", "child")


def test_three_generations_each_keep_their_own(process: uemu.Process) -> None:
    buf = process.mmap(3 * PAGE)
    process.store(buf, b"0" * 3 * PAGE)
    family = [process]
    for generation in (b"1", b"2", b"3"):
        family.append(family[-1].fork())
        family[-1].store(buf + PAGE, generation)
    process.store(buf, b"P")
    assert [each.load(buf, 1) for each in family] == [b"P", b"0", b"0", b"0"]
    assert [each.load(buf + PAGE, 1) for each in family] == [b"0", b"1", b"2", b"3"]
    assert [each.load(buf + 2 * PAGE, 1) for each in family] == [b"0"] * 4
    assert [parent_of(each.pid) for each in family[1:]] == [each.pid for each in family[:-1]]


def test_fifty_children_share_one_frame_until_they_store(
    process: uemu.Process, machine: uemu.Machine
) -> None:
    buf = process.mmap(PAGE)
    process.store(buf, b"I" * PAGE)
    children = [process.fork(f"child-{number}") for number in range(50)]
    pfn = machine.frame_of(process, buf)
    assert pfn is not None
    assert machine.page(pfn)[1:3] == (51, 51)  # refcount, mapcount
    for number, child in enumerate(children):
        child.store(buf, bytes([number]))
    assert [child.load(buf, 2) for child in children] == [bytes([n]) + b"I" for n in range(50)]
    assert machine.page(pfn)[1:3] == (1, 1)
    assert process.load(buf, 2) == b"II"
    assert len(machine.pfns) == 51
    for child in children:
        child.exit()
    assert len(machine.pfns) == 1


def test_a_thousand_pages_are_forked_and_copied(
    process: uemu.Process, machine: uemu.Machine
) -> None:
    buf = process.mmap(1000 * PAGE)
    process.store(buf, b"I" * 1000 * PAGE)
    child = process.fork()
    assert len(machine.pfns) == 1000
    process.store(buf, b"P" * 1000 * PAGE)
    assert len(machine.pfns) == 2000
    assert child.load(buf, 1000 * PAGE) == b"I" * 1000 * PAGE
    assert process.load(buf, 1000 * PAGE) == b"P" * 1000 * PAGE
    child.exit()
    assert len(machine.pfns) == 1000


# Wrong use


@pytest.mark.parametrize("length", [0, -1])
def test_mmap_wants_a_length(process: uemu.Process, length: int) -> None:
    assert refused(lambda: process.mmap(length))[0] == errno.EINVAL


def test_mmap_of_more_than_there_is(process: uemu.Process) -> None:
    assert refused(lambda: process.mmap(1 << 50))[0] == errno.ENOMEM
    assert process.load(process.mmap(PAGE), 1) == b"\0"


@pytest.mark.parametrize("call", ["munmap", "mprotect", "madvise"])
@pytest.mark.parametrize(("offset", "length"), [(1, PAGE), (0, 0), (0, -PAGE), (512, 512)])
def test_memory_calls_want_whole_pages(
    process: uemu.Process, call: str, offset: int, length: int
) -> None:
    buf = process.mmap(2 * PAGE)
    rest = {"munmap": (), "mprotect": (uemu.PROT_READ,), "madvise": (uemu.MADV_DONTFORK,)}[call]
    assert refused(lambda: getattr(process, call)(buf + offset, length, *rest)) == (
        errno.EINVAL,
        buf + offset,
    )
    process.store(buf, b"x")


@pytest.mark.parametrize("call", ["mprotect", "madvise"])
def test_memory_calls_want_mapped_pages(process: uemu.Process, call: str) -> None:
    buf = process.mmap(PAGE)
    rest = (uemu.PROT_READ,) if call == "mprotect" else (uemu.MADV_DONTNEED,)
    error, _ = refused(lambda: getattr(process, call)(buf, 2 * PAGE, *rest))
    assert error == errno.ENOMEM


def test_advice_that_no_kernel_knows(process: uemu.Process) -> None:
    buf = process.mmap(PAGE)
    assert refused(lambda: process.madvise(buf, PAGE, 12_345)) == (errno.EINVAL, buf)


def test_there_is_no_empty_access(process: uemu.Process) -> None:
    buf = process.mmap(PAGE)
    with pytest.raises(ValueError, match="at least one byte"):
        process.store(buf, b"")
    for length in (0, -1):
        with pytest.raises(ValueError, match=f"a positive length, not {length}"):
            process.load(buf, length)


@pytest.mark.parametrize("data", ["text", 7, [1, 2], None])
def test_only_bytes_can_be_stored(process: uemu.Process, data: object) -> None:
    buf = process.mmap(PAGE)
    with pytest.raises(TypeError, match=f"store takes bytes, not {type(data).__name__}"):
        process.store(buf, data)  # type: ignore[arg-type]
    assert process.load(buf, 4) == bytes(4)


def test_processes_and_threads_say_who_they_are(process: uemu.Process) -> None:
    thread = process.thread("worker")
    assert repr(process) == f"<Process parent pid {process.pid}>"
    assert repr(thread) == f"<Thread worker tid {thread.tid}>"
    assert process.tid == process.pid


# vfork, posix_spawn, mremap, a thread's end -------------------------------------------------


def test_a_vfork_child_shares_the_memory(machine: uemu.Machine) -> None:
    parent, buf = filled(machine)
    child = parent.vfork()
    assert child.pid != parent.pid
    child.store(buf, b"c")
    child.exit()
    assert parent.load(buf, 2) == b"cI"
    assert machine.page(machine.pfns[0]).mapcount == 1


def test_a_parent_waits_in_vfork_until_its_child_ends(machine: uemu.Machine) -> None:
    parent, buf = filled(machine)
    other = parent.thread()
    child = parent.vfork()
    with pytest.raises(uemu.Blocked, match=f"its child {child.pid} has not ended"):
        parent.load(buf, 1)
    other.store(buf, b"o")
    child.exit()
    assert parent.load(buf, 2) == b"oI"


def test_a_vfork_child_that_is_killed_lets_its_parent_go(machine: uemu.Machine) -> None:
    parent, buf = filled(machine)
    child = parent.vfork()
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(uemu.ProcessDied):
        child.load(buf, 1)
    assert parent.load(buf, 1) == b"I"


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9)])
def test_a_vfork_child_execs_and_lets_its_parent_go(
    machine: uemu.Machine, script: str, status: int
) -> None:
    parent, buf = filled(machine)
    child = parent.vfork()
    child.store(buf, b"C")
    assert child.exec(["sh", "-c", script]) == status
    assert not child.alive
    assert parent.load(buf, 2) == b"CI"


def test_a_vfork_child_goes_on_when_it_cannot_exec(machine: uemu.Machine) -> None:
    parent, buf = filled(machine)
    child = parent.vfork()
    with pytest.raises(uemu.Fault, match=r"execve /no/such/program"):
        child.exec(["/no/such/program"])
    assert child.load(buf, 1) == b"I"
    child.exit()
    assert parent.load(buf, 1) == b"I"


def test_who_has_memory_of_its_own_does_not_exec(machine: uemu.Machine) -> None:
    parent, buf = filled(machine)
    with pytest.raises(ValueError, match="only vfork children exec"):
        parent.exec(["true"])
    assert parent.load(buf, 1) == b"I"


def test_a_read_in_flight_survives_vfork_under_every_kernel(machine: uemu.Machine) -> None:
    """Torvalds, 2009-03-11 22:06: vfork and exec have none of these problems."""
    parent, buf = filled(machine)
    read = machine.dma.start(parent, buf, 512, direction=uemu.DMA_FROM_DEVICE)
    assert parent.spawn(["true"]) == 0
    parent.store(buf + 1024, b"x")
    read.complete(b"D" * 512)
    assert parent.load(buf, 512) == b"D" * 512
    assert machine.violations == []


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9), ("(exit 3); exit $?", 3)],
)
def test_a_spawned_program_gives_its_status(
    machine: uemu.Machine, script: str, status: int
) -> None:
    parent, buf = filled(machine)
    assert parent.spawn(["sh", "-c", script]) == status
    assert parent.load(buf, 1) == b"I"


def test_a_spawned_program_gets_its_arguments_and_environment(machine: uemu.Machine) -> None:
    parent, _ = filled(machine)
    script = 'test "$1-$A" = "one two-b c"'
    assert parent.spawn(["/bin/sh", "-c", script, "sh", "one two"], {"A": "b c"}) == 0
    assert parent.spawn(["/bin/sh", "-c", script, "sh", "other"], {"A": "b c"}) == 1


def test_a_program_that_is_not_there_is_refused(machine: uemu.Machine) -> None:
    parent, buf = filled(machine)
    with pytest.raises(uemu.Fault) as refused:
        parent.spawn(["/no/such/program"])
    assert refused.value.errno == errno.ENOENT
    assert parent.load(buf, 1) == b"I"


@pytest.mark.parametrize("argv", [[], ["true", "x" * 5000]], ids=["none", "too long"])
def test_arguments_that_cannot_be_are_misuse(machine: uemu.Machine, argv: list[str]) -> None:
    parent, buf = filled(machine)
    with pytest.raises(ValueError, match=r"argv is empty|a page is the most"):
        parent.spawn(argv)
    assert parent.load(buf, 1) == b"I"


def test_a_moved_mapping_is_really_elsewhere(machine: uemu.Machine) -> None:
    parent, buf = filled(machine)
    new = parent.mremap(buf, uemu.PAGE_SIZE, 2 * uemu.PAGE_SIZE)
    assert new != buf
    assert parent.load(new, 2) == b"II"
    parent.store(new + uemu.PAGE_SIZE, b"x")
    with pytest.raises(uemu.Fault):
        parent.load(buf, 1)
    with open(f"/proc/{parent.pid}/maps") as maps:
        starts = [int(line.split("-")[0], 16) for line in maps]
    assert new in starts
    assert buf not in starts
    machine.check()


def test_a_transfer_follows_a_moved_buffer(machine: uemu.Machine) -> None:
    parent, buf = filled(machine)
    read = machine.dma.start(parent, buf, 512, direction=uemu.DMA_FROM_DEVICE)
    new = parent.mremap(buf, uemu.PAGE_SIZE, uemu.PAGE_SIZE)
    read.complete(b"D" * 512)
    assert parent.load(new, 512) == b"D" * 512
    assert machine.violations == []


def test_a_thread_ends_and_its_process_goes_on(machine: uemu.Machine) -> None:
    parent, buf = filled(machine)
    thread = parent.thread()
    thread.store(buf, b"t")
    thread.exit()
    with pytest.raises(uemu.ProcessDied):
        thread.load(buf, 1)
    assert parent.load(buf, 2) == b"tI"
    assert os.listdir(f"/proc/{parent.pid}/task") == [str(parent.pid)]


def test_a_parent_that_dies_with_its_vfork_child_is_found_dead(machine: uemu.Machine) -> None:
    parent, _ = filled(machine)
    child = parent.vfork()
    os.kill(child.pid, signal.SIGKILL)
    os.kill(parent.pid, signal.SIGKILL)
    for process in (child, parent):
        with pytest.raises(uemu.ProcessDied):
            process.mmap(uemu.PAGE_SIZE)
    assert machine.pfns == []
