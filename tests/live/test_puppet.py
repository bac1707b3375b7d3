"""Puppets: real processes that may die at any moment, be signalled, and run out of mappings."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable
from typing import Any

import pytest

import uemu
from tests.live.processes import (
    Watch,
    filled,
    frames_mapped_by,
    mappings_of,
    parent_of,
    state,
    threads_of,
)
from uemu.abi import SYS_MMAP, SYS_MPROTECT, SYS_MUNMAP
from uemu.errors import OutOfFrames
from uemu.host import native
from uemu.live import births, newborn

pytestmark = pytest.mark.needs_ptrace

PAGE = uemu.PAGE_SIZE


# Who dies


def test_a_process_killed_between_two_calls(machine: uemu.Machine) -> None:
    process, buf = filled(machine)
    os.kill(process.pid, signal.SIGKILL)
    Watch([process.pid]).ended()
    with pytest.raises(uemu.ProcessDied) as died:
        process.load(buf, 1)
    assert died.value.pid == process.pid
    assert died.value.how == "was killed by SIGKILL"
    assert str(died.value) == (
        f"process {process.pid} was killed by SIGKILL during an earlier call;"
        " its page frames are freed"
    )
    assert not process.alive
    assert state(process.pid) is None


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (signal.SIGTERM, "SIGTERM"),
        (signal.SIGINT, "SIGINT"),
        (signal.SIGUSR1, "SIGUSR1"),
        (signal.SIGTRAP, "SIGTRAP"),
        (signal.SIGSEGV, "SIGSEGV"),
        (40, "signal 40"),
    ],
)
def test_a_signal_that_kills_does_so_in_the_next_call(
    machine: uemu.Machine, number: int, name: str
) -> None:
    process, buf = filled(machine)
    os.kill(process.pid, number)
    with pytest.raises(
        uemu.ProcessDied, match=f"process {process.pid} was killed by {name} during a store;"
    ):
        process.store(buf, b"x")
    assert state(process.pid) is None


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTSTP, signal.SIGCONT, signal.SIGCHLD])
def test_a_signal_that_does_not_kill_does_no_harm(machine: uemu.Machine, number: int) -> None:
    process, buf = filled(machine, 2)
    thread = process.thread()
    os.kill(process.pid, number)
    process.store(buf, b"1")
    thread.store(buf + PAGE, b"2")
    child = process.fork()
    os.kill(process.pid, signal.SIGCONT)
    process.store(buf + 1, b"3")
    thread.store(buf + 2, b"4")
    assert process.load(buf, 4) == thread.load(buf, 4) == b"134I"
    assert child.load(buf, 4) == b"1III"


def test_the_frames_of_the_dead_are_freed_and_the_others_go_on(machine: uemu.Machine) -> None:
    parent, buf = filled(machine, 3)
    child = parent.fork()
    child.store(buf, b"C" * 3 * PAGE)
    other, other_buf = filled(machine)
    assert len(machine.pfns) == 7
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(uemu.ProcessDied):
        child.load(buf, 1)
    assert len(machine.pfns) == 4
    assert machine.stage.kernel.frames.nr_used == 4  # type: ignore[attr-defined]
    assert (parent.alive, child.alive, other.alive) == (True, False, True)
    assert parent.load(buf, 3 * PAGE) == b"I" * 3 * PAGE
    other.store(other_buf, b"O")
    assert parent.fork().load(buf, 1) == b"I"


def test_a_device_keeps_its_frame_when_the_process_dies(machine: uemu.Machine) -> None:
    process, buf = filled(machine)
    read = machine.dma.start(process, buf, 512, direction=uemu.DMA_FROM_DEVICE)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(uemu.ProcessDied):
        process.store(buf, b"x")
    assert machine.pfns == list(read.pfns)
    read.complete(b"D" * 512)
    assert machine.pfns == []


def kill_before(
    monkeypatch: pytest.MonkeyPatch, target: object, name: str, pid: Callable[[Any], int]
) -> None:
    """Have a process killed when a method is called, before the method runs."""
    method = getattr(target, name)

    def killing(*args: Any, **kwargs: Any) -> Any:
        os.kill(pid(args), signal.SIGKILL)
        return method(*args, **kwargs)

    monkeypatch.setattr(target, name, killing)


def test_death_in_the_middle_of_a_fault(
    machine: uemu.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, buf = filled(machine)
    child = parent.fork()
    kill_before(monkeypatch, machine.stage.kernel, "fault", lambda _: parent.pid)
    with pytest.raises(
        uemu.ProcessDied, match=f"{parent.pid} was killed by SIGKILL during a store"
    ):
        parent.store(buf, b"x")
    monkeypatch.undo()
    child.store(buf, b"y")
    assert child.load(buf, 2) == b"yI"
    assert len(machine.pfns) == 1


def test_a_parent_killed_before_its_fork_leaves_no_child(machine: uemu.Machine) -> None:
    parent, _ = filled(machine)
    os.kill(parent.pid, signal.SIGTERM)
    with pytest.raises(uemu.ProcessDied, match=f"{parent.pid} was killed by SIGTERM during fork"):
        parent.fork()
    assert machine.pfns == []
    assert machine.stage.reports.processes == {}


def test_a_parent_killed_in_its_fork_leaves_no_child(
    machine: uemu.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, _ = filled(machine)
    born: list[int] = []
    settle = machine.stage.reports.settle

    def after_the_real_fork(thread: Any, err: int, during: str) -> Any:
        event = settle(thread, err, during)
        if event.kind == native.EVENT:
            born.append(event.msg)
            os.kill(parent.pid, signal.SIGKILL)
        return event

    monkeypatch.setattr(machine.stage.reports, "settle", after_the_real_fork)
    with pytest.raises(uemu.ProcessDied, match=f"{parent.pid} was killed by SIGKILL during fork"):
        parent.fork()
    (child,) = born
    assert state(child) in (None, "Z")
    assert machine.pfns == []


@pytest.mark.parametrize("how", ["fork", "vfork", "thread"])
def test_a_parent_killed_before_it_says_whom_it_bore_harms_nobody_else(
    machine: uemu.Machine, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """PTRACE_GETEVENTMSG then fails; kill(2) of a process 0 would end our own group."""
    parent, _ = filled(machine)
    settle = machine.stage.reports.settle

    def too_late(thread: Any, err: int, during: str) -> Any:
        event = settle(thread, err, during)
        if event.kind == native.EVENT:
            os.kill(parent.pid, signal.SIGKILL)
            event.msg = 0
        return event

    monkeypatch.setattr(machine.stage.reports, "settle", too_late)
    with pytest.raises(uemu.ProcessDied, match=f"{parent.pid} was killed by SIGKILL"):
        getattr(parent, how)()
    monkeypatch.undo()
    assert machine.pfns == []
    machine.spawn().fork()


@pytest.mark.parametrize("moment", ["_settle_child", "_map_area", "enter"])
def test_a_child_killed_at_its_birth_leaves_its_parent_well(
    machine: uemu.Machine, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    parent, buf = filled(machine, 2)
    newborns = machine.stage.births.newborns
    kill_before(monkeypatch, newborns, moment, lambda args: getattr(args[0], "pid", args[0]))
    with pytest.raises(uemu.ProcessDied, match="was killed") as died:
        parent.fork().load(buf, 1)
    monkeypatch.undo()
    assert died.value.pid != parent.pid
    assert state(died.value.pid) is None
    parent.store(buf, b"x")
    assert parent.load(buf, 2) == b"xI"
    child = parent.fork()
    assert child.load(buf, 2) == b"xI"
    assert len(machine.pfns) == 2


def test_a_thread_that_is_killed_takes_its_process_with_it(machine: uemu.Machine) -> None:
    process, buf = filled(machine)
    thread = process.thread()
    os.kill(thread.tid, signal.SIGKILL)
    with pytest.raises(uemu.ProcessDied, match=f"process {process.pid} was killed by SIGKILL"):
        thread.store(buf, b"x")
    with pytest.raises(uemu.ProcessDied, match=f"process {process.pid} was killed by SIGKILL"):
        process.store(buf, b"x")


def test_a_process_that_another_part_of_the_program_reaped(machine: uemu.Machine) -> None:
    process, buf = filled(machine)
    other, other_buf = filled(machine)
    os.kill(process.pid, signal.SIGKILL)
    assert os.waitpid(process.pid, 0) == (process.pid, signal.SIGKILL)
    with pytest.raises(uemu.ProcessDied, match="was reaped by another part of this program"):
        process.store(buf, b"x")
    other.store(other_buf, b"x")


def test_a_machine_closes_although_somebody_else_reaped_its_process() -> None:
    with uemu.Machine() as machine:
        processes = [machine.spawn() for _ in range(2)]
        os.kill(processes[1].pid, signal.SIGKILL)
        os.waitpid(processes[1].pid, 0)
    assert state(processes[0].pid) is None


# Exit


def test_exit_ends_a_process_and_its_threads(machine: uemu.Machine) -> None:
    process, buf = filled(machine)
    thread = process.thread()
    process.exit(3)
    assert state(process.pid) is None
    assert machine.pfns == []
    for caller in (process, thread):
        with pytest.raises(uemu.ProcessDied, match=f"process {process.pid} exited with status 3"):
            caller.load(buf, 1)


def test_a_parent_may_exit_before_its_child(machine: uemu.Machine) -> None:
    parent, buf = filled(machine)
    child = parent.fork()
    grandchild = child.fork()
    parent.exit()
    child.exit()
    grandchild.store(buf, b"x")
    assert grandchild.load(buf, 2) == b"xI"
    assert len(machine.pfns) == 1


# Threads and children


def test_threads_are_real_and_share_one_address_space(machine: uemu.Machine) -> None:
    process, buf = filled(machine)
    threads = [process.thread() for _ in range(3)]
    tids = {thread.tid for thread in threads}
    assert len(tids) == 3
    assert threads_of(process.pid) == tids | {process.pid}
    for i, thread in enumerate(threads):
        thread.store(buf + i, b"%d" % i)
    assert process.load(buf, 4) == b"012I"


def test_a_process_has_no_more_than_64_threads(machine: uemu.Machine) -> None:
    process, buf = filled(machine)
    threads = [process.thread() for _ in range(63)]
    with pytest.raises(uemu.HostError, match="64 are the most"):
        process.thread()
    threads[-1].store(buf, b"x")
    assert process.load(buf, 1) == b"x"


def test_a_thread_may_fork(machine: uemu.Machine) -> None:
    process, buf = filled(machine)
    thread = process.thread()
    child = thread.fork()
    assert parent_of(child.pid) == process.pid
    assert threads_of(child.pid) == {child.pid}
    grandchild = child.thread().fork()
    for number, each in enumerate((process, child, grandchild)):
        each.store(buf, b"%d" % number)
    assert [each.load(buf, 2) for each in (thread, child, grandchild)] == [b"0I", b"1I", b"2I"]


def test_a_real_fork_that_fails_leaves_nothing(
    machine: uemu.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, buf = filled(machine, 2)
    monkeypatch.setattr(newborn, "SYS_FORK", 100_000)
    with pytest.raises(uemu.Fault, match="the real fork") as refused:
        parent.fork()
    assert refused.value.errno == errno.ENOSYS
    machine.check()
    monkeypatch.undo()
    parent.store(buf, b"x")
    assert parent.fork().load(buf, 2) == b"xI"
    assert len(machine.pfns) == 2


def test_a_real_clone_that_fails_leaves_nothing(
    machine: uemu.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, _ = filled(machine)
    monkeypatch.setattr(births, "SYS_CLONE", 100_000)
    for _ in range(100):  # more often than there are slots
        with pytest.raises(uemu.Fault, match="the real clone"):
            process.thread()
    monkeypatch.undo()
    process.thread()
    assert len(threads_of(process.pid)) == 2


# Mappings


def test_dontfork_memory_is_really_not_there_in_the_child(machine: uemu.Machine) -> None:
    parent, buf = filled(machine, 3)
    parent.madvise(buf + PAGE, PAGE, uemu.MADV_DONTFORK)
    child = parent.fork()
    with open(f"/proc/{child.pid}/maps") as maps:
        ranges = [[int(end, 16) for end in line.split()[0].split("-")] for line in maps]
    there = [any(start <= buf + page * PAGE < end for start, end in ranges) for page in range(3)]
    assert there == [True, False, True]


def test_neighbouring_pages_are_one_mapping(machine: uemu.Machine) -> None:
    parent = machine.spawn()
    none = mappings_of(parent.pid)
    buf = parent.mmap(1000 * PAGE)
    parent.store(buf, b"I" * 1000 * PAGE)
    assert frames_mapped_by(parent.pid) == 1
    child = parent.fork()
    assert frames_mapped_by(parent.pid) == frames_mapped_by(child.pid) == 1
    parent.store(buf, b"P" * 1000 * PAGE)
    assert frames_mapped_by(parent.pid) == 1
    assert mappings_of(parent.pid) - none <= 3
    assert child.load(buf, 1000 * PAGE) == b"I" * 1000 * PAGE


def test_every_other_page_copied_and_then_the_rest(machine: uemu.Machine) -> None:
    parent, buf = filled(machine, 200)
    child = parent.fork()
    for page in range(0, 200, 2):
        parent.store(buf + page * PAGE, b"P")
    assert frames_mapped_by(parent.pid) == 200
    for page in range(1, 200, 2):
        parent.store(buf + page * PAGE, b"P")
    assert frames_mapped_by(parent.pid) == 1
    assert parent.load(buf, 200 * PAGE) == (b"P" + b"I" * (PAGE - 1)) * 200
    assert child.load(buf, 200 * PAGE) == b"I" * 200 * PAGE


def test_at_the_limit_of_mappings_a_store_says_so_and_is_made_up_for(
    machine: uemu.Machine,
) -> None:
    parent, buf = filled(machine, 8)
    child = parent.fork()
    use_up_mappings(machine, parent)
    with pytest.raises(uemu.HostError, match="change the mappings of puppet") as refused:
        parent.store(buf + 4 * PAGE, b"P")
    assert refused.value.why == f"mmap: {os.strerror(errno.ENOMEM)}"
    assert "vm.max_map_count" in refused.value.remedy
    # Nothing else happened to it, or to anybody else.
    assert parent.load(buf, 2) == b"II"
    child.store(buf + 4 * PAGE, b"C")
    with pytest.raises(uemu.HostError, match="change the mappings of puppet"):
        parent.store(buf + 4 * PAGE, b"P")
    # With room again, what failed is made up for.
    call(machine, parent, (SYS_MUNMAP, BALLAST, BALLAST_PAGES * PAGE, 0, 0, 0, 0))
    parent.store(buf + 4 * PAGE, b"P")
    assert parent.load(buf + 4 * PAGE, 2) == b"PI"
    assert child.load(buf + 4 * PAGE, 2) == b"CI"


BALLAST = 0x2000_0000_0000
BALLAST_PAGES = 140_000


def call(machine: uemu.Machine, process: uemu.Process, *calls: native.Call) -> list[int]:
    """Have a process make system calls that the machine knows nothing of."""
    thread = process._puppet
    return machine.tracer.call(
        lambda: machine.stage.hands.make_calls(thread, list(calls), "a test")
    )


def use_up_mappings(machine: uemu.Machine, process: uemu.Process) -> None:
    """Let a process have as many mappings as it may, or skip the test."""
    with open("/proc/sys/vm/max_map_count") as file:
        limit = int(file.read())
    if limit > BALLAST_PAGES:
        pytest.skip(f"vm.max_map_count is {limit}: too far away to go there")
    flags = 0x02 | 0x10 | 0x20 | 0x4000  # MAP_PRIVATE, FIXED, ANONYMOUS, NORESERVE
    none = -1 & (1 << 64) - 1
    call(machine, process, (SYS_MMAP, BALLAST, BALLAST_PAGES * PAGE, 0, flags, none, 0))
    # Each of these splits off two, until one is refused.
    holes = range(BALLAST, BALLAST + BALLAST_PAGES * PAGE, 2 * PAGE)
    results = call(machine, process, *((SYS_MPROTECT, at, PAGE, 1, 0, 0, 0) for at in holes))
    assert results[-1] == -errno.ENOMEM


def test_a_remap_that_fails_is_said_and_made_up_for(
    machine: uemu.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, buf = filled(machine)
    child = parent.fork()
    mmu = machine.stage.hands.mmu
    take_call = mmu.take_call

    def with_a_wrong_descriptor(mm: int) -> native.Call | None:
        call = take_call(mm)
        return call and (*call[:5], 99, call[6])

    monkeypatch.setattr(mmu, "take_call", with_a_wrong_descriptor)
    with pytest.raises(uemu.HostError, match=f"change the mappings of puppet {parent.pid}"):
        parent.store(buf, b"x")
    assert parent.load(buf, 2) == b"II"
    monkeypatch.undo()
    parent.store(buf, b"y")
    assert parent.load(buf, 2) == b"yI"
    assert child.load(buf, 2) == b"II"


def test_a_real_mmap_that_fails_is_undone(machine: uemu.Machine) -> None:
    process, buf = filled(machine)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (1 << 20, 1 << 20))
    with pytest.raises(uemu.Fault, match="the real mmap") as refused:
        process.mmap(1 << 30)
    assert refused.value.errno == errno.ENOMEM
    assert len(process._process.mm.vmas) == 1
    process.store(buf, b"x")


def test_memory_that_was_changed_behind_its_back_does_not_hang_it(machine: uemu.Machine) -> None:
    process, buf = filled(machine)
    call(machine, process, (SYS_MUNMAP, buf, PAGE, 0, 0, 0, 0))
    with pytest.raises(uemu.HostError, match=f"it faulted at {buf:#x}. Its memory was changed"):
        process.store(buf, b"x")


def test_the_puppets_own_memory_is_out_of_reach(machine: uemu.Machine) -> None:
    process, buf = filled(machine)
    with open(f"/proc/{process.pid}/maps") as maps:
        own = [int(line.split("-")[0], 16) for line in maps if "frames" not in line]
    outside = [addr for addr in own if not buf <= addr < buf + PAGE]
    assert len(outside) >= 4  # text, stack, vdso, control area
    for addr in outside:
        for access in (lambda at: process.load(at, 1), lambda at: process.store(at, b"x")):
            with pytest.raises(uemu.Fault) as refused:
                access(addr)
            assert (refused.value.errno, refused.value.addr) == (errno.EFAULT, addr)
        process.munmap(addr, PAGE)  # as of any address that is not mapped
    process.store(buf, b"x")
    assert process.fork().load(buf, 2) == b"xI"


# Signals that kill nobody, at bad moments


def signal_at_birth(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Send a signal to whoever is announced as born, before its birth is reported."""
    born: list[int] = []
    go = native.go

    def going(tid: int, ip: int, sig: int, event: native.Event) -> int:
        err = go(tid, ip, sig, event)
        if not err and event.kind == native.EVENT and event.code != native.EVENT_STOP:
            born.append(event.msg)
            os.kill(event.msg, number)
        return err

    monkeypatch.setattr(native, "go", going)
    return born


@pytest.mark.parametrize("number", [signal.SIGWINCH, signal.SIGSTOP, signal.SIGTSTP])
@pytest.mark.parametrize("how", ["fork", "vfork", "thread"])
def test_a_signal_at_birth_that_kills_nobody_does_no_harm(
    machine: uemu.Machine, monkeypatch: pytest.MonkeyPatch, how: str, number: int
) -> None:
    parent, buf = filled(machine)
    born = signal_at_birth(monkeypatch, number)
    child = getattr(parent, how)()
    assert born
    monkeypatch.undo()
    child.store(buf, b"c")
    assert child.load(buf, 2) == b"cI"
    child.exit()
    assert parent.load(buf + 1, 1) == b"I"


def test_a_child_killed_before_its_birth_is_reported(
    machine: uemu.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, buf = filled(machine)
    signal_at_birth(monkeypatch, signal.SIGKILL)
    with pytest.raises(uemu.ProcessDied):
        parent.fork().load(buf, 1)
    monkeypatch.undo()
    parent.store(buf, b"p")
    assert parent.fork().load(buf, 2) == b"pI"


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTSTP])
def test_a_stopped_process_can_exit(machine: uemu.Machine, number: int) -> None:
    process, _ = filled(machine)
    os.kill(process.pid, number)
    process.exit()
    assert not process.alive


def test_a_puppet_is_in_a_session_of_its_own(machine: uemu.Machine) -> None:
    """What is typed at the host's terminal, Ctrl-C, is not for puppets."""
    parent, _ = filled(machine)
    assert os.getsid(parent.pid) == parent.pid
    assert os.getsid(parent.fork().pid) == parent.pid


def test_a_spawned_program_has_none_of_our_descriptors(machine: uemu.Machine) -> None:
    parent, buf = filled(machine)
    script = "for fd in 3 4; do [ -e /proc/self/fd/$fd ] && exit 1; done; exit 0"
    assert parent.spawn(["sh", "-c", script]) == 0
    assert parent.load(buf, 1) == b"I"


def test_without_descriptors_a_fork_is_refused_and_leaves_no_child(
    machine: uemu.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, buf = filled(machine)
    born = signal_at_birth(monkeypatch, 0)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("uemu.live.area.mmap.mmap", refuse)
    with pytest.raises(uemu.HostError, match="control area"):
        parent.fork()
    monkeypatch.undo()
    (child,) = born
    assert state(child) in (None, "Z")
    parent.store(buf, b"p")
    assert parent.load(buf, 1) == b"p"


def test_a_machine_out_of_frames_says_so_and_is_used_no_more(
    machine: uemu.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, buf = filled(machine)
    parent.fork()

    def refuse(_: int) -> int:
        raise OutOfFrames("take one more page frame", "all are in use", "Use fewer.")

    monkeypatch.setattr(machine.stage.kernel.frames, "alloc", refuse)
    with pytest.raises(uemu.HostError, match="one more page frame"):
        parent.store(buf, b"x")
    monkeypatch.undo()
    with pytest.raises(uemu.HostError, match="it broke"):
        parent.store(buf, b"x")
    machine.check = lambda: None  # type: ignore[method-assign]
