"""What a program gets before its first instruction, on a real puppet as the program."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.processes import own_resources
from uemu.abi import PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE
from uemu.errors import HostError
from uemu.host import native, tracee
from uemu.host.memfd import MemfdFrames
from uemu.host.procfs import ProcessMemory, RealVma
from uemu.live.area import Areas
from uemu.live.program import loader as module
from uemu.live.program.loader import Loader, NotLoaded
from uemu.live.program.tasks import ProgramMm, ProgramProcess, Task
from uemu.live.program.tracees import TaskGone, Tracees
from uemu.live.program.window import CONTROL_BASE, WINDOW_BASE
from uemu.mm.mm_struct import MmStruct
from uemu.step import Cpu

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.needs_memfd]

PUPPET = str(native.PUPPET)
RW, RX = PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC
SYS_GETPID, SYS_CLOSE, SYS_MMAP, SYS_MUNMAP, SYS_PTRACE, SYS_UNAME = 39, 3, 9, 11, 101, 63
EBADF, EFAULT = 9, 14


class Program:
    """A program that stands before its first instruction, and what loads it.

    Attributes:
        tracees: it alone.
        task: its one thread.
    """

    def __init__(self) -> None:
        self.frames = MemfdFrames()
        self.areas = Areas()
        self.loader = Loader(self.frames, self.areas)
        self.tracees = Tracees(self.loader.slot)
        self.pid = tracee.start(PUPPET, ["program"], [])
        self.memory = ProcessMemory(self.pid)
        mm = ProgramMm(MmStruct(0, "program"), self.memory, 1)
        self.task = Task(self.pid, ProgramProcess(self.pid), mm, Cpu("task"))
        self.tracees.tasks[self.pid] = self.task

    def load(self) -> None:
        self.loader.load(self.pid)

    def status(self, key: str) -> int:
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(text.split(f"{key}:", 1)[1].split(None, 1)[0])

    def descriptors(self) -> dict[str, str]:
        folder = f"/proc/{self.pid}/fd"
        return {fd: os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)}

    def close(self) -> None:
        native.end(self.pid)
        self.memory.close()
        self.loader.close()
        self.areas.close()
        self.frames.close()


@pytest.fixture
def program() -> Iterator[Program]:
    """A program that is not loaded yet."""
    program = Program()
    yield program
    program.close()


@pytest.fixture
def loaded(program: Program) -> Program:
    """One that is."""
    program.load()
    return program


def call(nr: int, *args: int) -> native.Call:
    first, second, third, fourth, fifth, sixth = [*args, *[0] * (6 - len(args))]
    return nr, first, second, third, fourth, fifth, sixth


# Loading


def test_a_program_gets_the_control_area_and_the_window(program: Program) -> None:
    vma_at, code = program.memory.vma_at, native.SLOT_AT
    assert (vma_at(CONTROL_BASE), vma_at(WINDOW_BASE)) == (None, None)
    program.load()
    assert vma_at(CONTROL_BASE) == RealVma(CONTROL_BASE, CONTROL_BASE + code, RX, True)
    end = CONTROL_BASE + native.AREA_SIZE
    assert vma_at(CONTROL_BASE + code) == RealVma(CONTROL_BASE + code, end, RW, True)
    window = RealVma(WINDOW_BASE, WINDOW_BASE + program.frames.size, PROT_NONE, True)
    assert vma_at(WINDOW_BASE) == window


def test_a_program_sees_nothing_else_of_it(program: Program) -> None:
    ip = native.instruction_pointer(program.pid)
    text, fds = native.peek(program.pid, ip), program.descriptors()
    called = tracee.syscall_of(program.pid)
    stack = program.memory.read(called[2], 64) if called else b""
    program.load()
    assert native.instruction_pointer(program.pid) == ip
    assert native.peek(program.pid, ip) == text
    assert program.descriptors() == fds
    assert tracee.syscall_of(program.pid) == called
    assert called is not None
    assert program.memory.read(called[2], 64) == stack


def test_the_window_shows_the_frames(loaded: Program) -> None:
    pfn = loaded.frames.alloc(0)
    loaded.frames.write(pfn, 0, b"frame")
    where = WINDOW_BASE + loaded.frames.offset_of(pfn)
    assert loaded.memory.read(where, 5) == b"frame"


@pytest.mark.parametrize("where", [CONTROL_BASE, WINDOW_BASE])
def test_a_program_that_has_something_there_is_not_loaded(program: Program, where: int) -> None:
    ip = native.instruction_pointer(program.pid)
    text = native.peek(program.pid, ip)
    native.poke(program.pid, ip, text & ~0xFFFFFF | module.SYSCALL_INT3)
    taken = call(SYS_MMAP, where, 4096, PROT_READ, 0x32, -1 & (1 << 64) - 1, 0)
    assert native.syscall(program.pid, ip, taken) == where
    native.poke(program.pid, ip, text)
    fds = program.descriptors()
    with pytest.raises(NotLoaded, match=r"it cannot map uemu's memory \(File exists\)"):
        program.load()
    assert native.peek(program.pid, ip) == text
    assert program.descriptors() == fds


def test_a_program_that_may_open_nothing_is_not_loaded(program: Program) -> None:
    resource.prlimit(program.pid, resource.RLIMIT_NOFILE, (0, 0))
    with pytest.raises(NotLoaded, match=r"it cannot open uemu's memory \(Too many open files\)"):
        program.load()


def test_a_32_bit_program_is_not_loaded(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module._elf_class(program.pid) == 2
    monkeypatch.setattr(module, "_elf_class", lambda pid: module.CLASS_32_BIT)
    with pytest.raises(NotLoaded, match="a 32-bit program"):
        program.load()


def test_who_dies_meanwhile_is_gone(program: Program) -> None:
    native.end(program.pid)
    with pytest.raises(TaskGone):
        program.load()
    with pytest.raises(TaskGone):
        program.loader.raise_stage(program.tracees, program.task, 0)
    with pytest.raises(TaskGone):
        module._stack_pointer(program.pid)


# Filters


def test_filters_come_stage_by_stage_and_once(loaded: Program) -> None:
    assert loaded.status("Seccomp") == 0
    loader, tracees, task = loaded.loader, loaded.tracees, loaded.task
    for stage, filters in ((0, 1), (0, 1), (2, 3), (1, 3)):
        loader.raise_stage(tracees, task, stage)
        assert (loaded.status("Seccomp"), loaded.status("Seccomp_filters")) == (2, filters)
        assert task.process.stage == filters - 1
    assert loaded.status("NoNewPrivs") == 1


def test_calls_of_ours_are_made_whatever_the_filters_say(loaded: Program) -> None:
    loaded.loader.raise_stage(loaded.tracees, loaded.task, 2)
    refused = [call(SYS_PTRACE, 9999), call(SYS_MUNMAP, 1, 1), call(SYS_UNAME, 8)]
    results = [loaded.tracees.inject(loaded.task, [each])[0] for each in refused]
    assert results == [-3, -22, -EFAULT]


def test_calls_of_its_own_stop(loaded: Program) -> None:
    loaded.loader.raise_stage(loaded.tracees, loaded.task, 0)
    at = native.instruction_pointer(loaded.pid)
    # mov eax, SYS_PTRACE; syscall
    native.poke(loaded.pid, at, int.from_bytes(b"\xb8\x65\0\0\0\x0f\x05\xcc", "little"))
    loaded.tracees.resume(loaded.task)
    stop = loaded.tracees.next(None)
    assert stop is not None
    assert (stop.kind, stop.nr, stop.ip) == (tracee.SECCOMP, SYS_PTRACE, at + 7)
    assert loaded.task.stop == stop


def test_a_filter_that_is_refused_is_said(loaded: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaded.loader, "_filters", [b"no filter at all"] * 3)
    with pytest.raises(NotLoaded, match=r"it cannot have a seccomp filter \(Invalid argument\)"):
        loaded.loader.raise_stage(loaded.tracees, loaded.task, 0)
    assert loaded.task.process.stage == -1


# Calls


def test_calls_are_made_in_order_until_one_fails(loaded: Program) -> None:
    calls = [call(SYS_GETPID), call(SYS_CLOSE, 999), call(SYS_GETPID)]
    assert loaded.tracees.inject(loaded.task, calls) == [loaded.pid, -EBADF]
    assert loaded.tracees.inject(loaded.task, calls[:1]) == [loaded.pid]
    assert loaded.tracees.inject(loaded.task, []) == []


def test_more_calls_than_a_slot_has_room_for_are_made(loaded: Program) -> None:
    many = native.MAX_CALLS + 1
    assert loaded.tracees.inject(loaded.task, [call(SYS_GETPID)] * many) == [loaded.pid] * many
    in_vain = [call(SYS_GETPID)] * (many - 2) + [call(SYS_CLOSE, 999)] + [call(SYS_GETPID)] * 5
    assert len(loaded.tracees.inject(loaded.task, in_vain)) == many - 1


def test_calls_that_must_not_fail_are_a_host_error(loaded: Program) -> None:
    loaded.tracees.must_inject(loaded.task, [call(SYS_GETPID)])
    with pytest.raises(HostError, match="close: EBADF"):
        loaded.tracees.must_inject(loaded.task, [call(SYS_CLOSE, 999), call(SYS_GETPID)])


def test_a_program_that_unmapped_our_code_is_a_host_error(loaded: Program) -> None:
    loaded.tracees.inject(loaded.task, [call(SYS_GETPID)])
    ip = native.instruction_pointer(loaded.pid)
    native.poke(loaded.pid, ip, native.peek(loaded.pid, ip) & ~0xFFFFFF | module.SYSCALL_INT3)
    unmap = call(SYS_MUNMAP, CONTROL_BASE, native.AREA_SIZE)
    assert native.syscall(loaded.pid, ip, unmap) == 0
    with pytest.raises(HostError, match=f"it faulted at {loaded.loader.slot.calls:#x}"):
        loaded.tracees.inject(loaded.task, [call(SYS_GETPID)])


def test_who_ends_in_a_call_of_ours_is_gone_and_its_end_is_kept(loaded: Program) -> None:
    with pytest.raises(TaskGone):
        loaded.tracees.inject(loaded.task, [call(231, 5)])  # exit_group
    stop = loaded.tracees.next(None)
    assert stop is not None
    assert (stop.kind, stop.code) == (native.EXITED, 5)


def test_all_is_given_back() -> None:
    before = own_resources()
    program = Program()
    program.load()
    program.loader.raise_stage(program.tracees, program.task, 2)
    program.close()
    assert own_resources() == before
