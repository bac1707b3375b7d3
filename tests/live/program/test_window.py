"""How frames get into a program: the calls, and the same calls made in this process."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator

import pytest

from uemu.abi import (
    MAP_FIXED_NOREPLACE,
    MAP_NORESERVE,
    PAGE_SIZE,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    SYS_MPROTECT,
    SYS_MREMAP,
)
from uemu.host.memfd import MemfdFrames
from uemu.host.native import AREA_SIZE, Call
from uemu.host.procfs import ProcessMemory, RealVma
from uemu.live.program.window import CONTROL_BASE, WINDOW_BASE, WindowMmu
from uemu.mm.mm_struct import MMAP_BASE, MMAP_END, MmStruct
from uemu.mm.pte import AnyPte, Pte

pytestmark = pytest.mark.needs_memfd

MM = 0
RW = PROT_READ | PROT_WRITE
MOVE_THERE = 3  # MREMAP_MAYMOVE | MREMAP_FIXED
BASE = 0x1230_0000_0000

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


@pytest.fixture
def frames() -> Iterator[MemfdFrames]:
    """The store of frames."""
    frames = MemfdFrames()
    yield frames
    frames.close()


class Program:
    """An address space of pages with numbers, as the window applies it."""

    def __init__(self, frames: MemfdFrames) -> None:
        self.frames = frames
        self.mmu = WindowMmu(frames)
        self.mm = MmStruct(MM, "program")
        self.mmu.mm_created(MM, None)

    def frame(self, page: int, letter: bytes) -> int:
        """A frame full of a letter, near where it is going to be."""
        pfn = self.frames.alloc(BASE + page * PAGE_SIZE)
        self.frames.write(pfn, 0, letter * PAGE_SIZE)
        return pfn

    def set(self, page: int, pte: AnyPte) -> None:
        cell = self.mm.pte(BASE + page * PAGE_SIZE)
        self.mmu.set_pte(MM, BASE + page * PAGE_SIZE, cell.peek(), pte)
        cell.value = pte

    def calls(self) -> list[Call]:
        return self.mmu.take_calls(MM)


@pytest.fixture
def program(frames: MemfdFrames) -> Program:
    """A program with nothing framed."""
    return Program(frames)


# The places


def test_the_window_begins_behind_the_control_area_at_a_gigabyte() -> None:
    assert WINDOW_BASE >= CONTROL_BASE + AREA_SIZE
    assert WINDOW_BASE - CONTROL_BASE < AREA_SIZE + (1 << 30)
    assert WINDOW_BASE % (1 << 30) == CONTROL_BASE % (1 << 30) == 0


def test_neither_is_where_a_program_maps(frames: MemfdFrames) -> None:
    """mmap(2) goes down from the stack, a PIE is at 0x5555..., a sanitizer's shadow at 0x7fff8000.

    AddressSanitizer's heap is at 0x6020... and its shadow ends at 0x1000_7fff_7fff.
    """
    end = WINDOW_BASE + frames.size
    assert CONTROL_BASE > 0x1000_7FFF_8000
    assert end <= 0x5500_0000_0000
    assert MMAP_BASE < CONTROL_BASE < end < MMAP_END


# The calls


def test_a_frame_is_duplicated_from_the_window_and_made_accessible(program: Program) -> None:
    pfn = program.frame(0, b"F")
    program.set(0, Pte(pfn, True))
    where = WINDOW_BASE + program.frames.offset_of(pfn)
    assert program.calls() == [
        (SYS_MREMAP, where, 0, PAGE_SIZE, MOVE_THERE, BASE, 0),
        (SYS_MPROTECT, BASE, PAGE_SIZE, RW, 0, 0, 0),
    ]


def test_a_write_protected_frame_is_readable_only(program: Program) -> None:
    program.set(0, Pte(program.frame(0, b"F"), False))
    assert program.calls()[1] == (SYS_MPROTECT, BASE, PAGE_SIZE, PROT_READ, 0, 0, 0)


def test_a_frame_of_protected_memory_is_there_and_inaccessible(program: Program) -> None:
    program.set(0, Pte(program.frame(0, b"F"), False, user=False))
    assert [call[0] for call in program.calls()] == [SYS_MREMAP, SYS_MPROTECT]
    program.set(1, Pte(program.frame(1, b"F"), False, user=False))
    assert program.calls()[1][3] == PROT_NONE


def test_neighbours_are_placed_by_one_pair_of_calls(program: Program) -> None:
    pfns = [program.frame(page, b"F") for page in range(3)]
    for page, pfn in enumerate(pfns):
        program.set(page, Pte(pfn, True))
    where = WINDOW_BASE + program.frames.offset_of(pfns[0])
    assert program.calls() == [
        (SYS_MREMAP, where, 0, 3 * PAGE_SIZE, MOVE_THERE, BASE, 0),
        (SYS_MPROTECT, BASE, 3 * PAGE_SIZE, RW, 0, 0, 0),
    ]


def test_what_changes_its_protection_alone_is_not_placed_again(program: Program) -> None:
    pfn = program.frame(0, b"F")
    program.set(0, Pte(pfn, True))
    program.calls()
    program.set(0, Pte(pfn, False))
    assert program.calls() == [(SYS_MPROTECT, BASE, PAGE_SIZE, PROT_READ, 0, 0, 0)]
    assert program.calls() == []


# Made here


class Here:
    """This process as a program: it has the window, and makes the calls."""

    def __init__(self, frames: MemfdFrames) -> None:
        self.size = frames.size
        how = mmap.MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_NORESERVE
        mapped = libc.mmap(WINDOW_BASE, self.size, PROT_NONE, how, frames.fd, 0)
        assert mapped == WINDOW_BASE, os.strerror(ctypes.get_errno())
        self.memory = ProcessMemory(os.getpid())

    def make(self, calls: list[Call]) -> None:
        for nr, *args in calls:
            result = libc.syscall(ctypes.c_long(nr), *(ctypes.c_ulong(arg) for arg in args))
            assert result != -1, os.strerror(ctypes.get_errno())

    def close(self) -> None:
        self.memory.close()
        libc.munmap(BASE, 16 * PAGE_SIZE)
        libc.munmap(WINDOW_BASE, self.size)


@pytest.fixture
def here(frames: MemfdFrames) -> Iterator[Here]:
    """This process with the window mapped."""
    here = Here(frames)
    yield here
    here.close()


def at(page: int) -> int:
    return BASE + page * PAGE_SIZE


def test_placed_frames_are_the_memory_of_the_program(here: Here, program: Program) -> None:
    pfns = [program.frame(page, b"%d" % page) for page in range(3)]
    for page, pfn in enumerate(pfns):
        program.set(page, Pte(pfn, page != 1))
    here.make(program.calls())
    assert [ctypes.string_at(at(page), 1) for page in range(3)] == [b"0", b"1", b"2"]
    ctypes.memset(at(2), ord("W"), 1)
    assert program.frames.read(pfns[2], 0, 2) == b"W2"
    program.frames.write(pfns[0], 0, b"D")
    assert ctypes.string_at(at(0), 2) == b"D0"
    found = [here.memory.vma_at(at(page)) for page in range(3)]
    assert found == [
        RealVma(at(0), at(1), RW, True),
        RealVma(at(1), at(2), PROT_READ, True),
        RealVma(at(2), at(3), RW, True),
    ]


def test_a_frame_takes_the_place_of_what_was_there(here: Here, program: Program) -> None:
    how = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED_NOREPLACE
    assert libc.mmap(BASE, 3 * PAGE_SIZE, RW, how, -1, 0) == BASE
    ctypes.memset(BASE, ord("P"), 3 * PAGE_SIZE)
    program.set(1, Pte(program.frame(1, b"F"), True))
    here.make(program.calls())
    assert [ctypes.string_at(at(page), 1) for page in range(3)] == [b"P", b"F", b"P"]
    program.set(1, Pte(program.frame(1, b"G"), True))
    here.make(program.calls())
    assert ctypes.string_at(at(1), 1) == b"G"


def test_one_frame_can_be_placed_twice(here: Here, program: Program) -> None:
    pfn = program.frame(0, b"F")
    program.set(0, Pte(pfn, True))
    program.set(5, Pte(pfn, True))
    here.make(program.calls())
    ctypes.memset(at(0), ord("W"), 1)
    assert ctypes.string_at(at(5), 2) == b"WF"


def test_the_window_itself_stays_whole_and_inaccessible(here: Here, program: Program) -> None:
    program.set(0, Pte(program.frame(0, b"F"), True))
    here.make(program.calls())
    assert here.memory.vma_at(WINDOW_BASE) == RealVma(
        WINDOW_BASE, WINDOW_BASE + here.size, PROT_NONE, True
    )


def test_what_is_unmapped_in_the_table_is_hidden(here: Here, program: Program) -> None:
    program.set(0, Pte(program.frame(0, b"F"), True))
    here.make(program.calls())
    program.set(0, None)
    here.make(program.calls())
    assert here.memory.vma_at(BASE) == RealVma(BASE, BASE + PAGE_SIZE, PROT_NONE, False)


def test_no_descriptor_is_needed(program: Program) -> None:
    """A program may close whatever it likes: the window is all it has of us."""
    for page, write in ((0, True), (1, False), (5, True)):
        program.set(page, Pte(program.frame(page, b"F"), write))
    assert {nr for nr, *_ in program.calls()} == {SYS_MREMAP, SYS_MPROTECT}
