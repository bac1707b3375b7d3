"""Page tables as calls of mmap and mprotect: which, how many, and after a failure."""

from __future__ import annotations

import mmap
from typing import NamedTuple

import pytest

from uemu.abi import PAGE_SIZE, PROT_NONE, PROT_READ, PROT_WRITE, SYS_MMAP, SYS_MPROTECT
from uemu.host.memfd import MemfdFrames
from uemu.live.mmu import HIDDEN_FIXED, SHARED_FIXED, LiveMmu
from uemu.mm.mm_struct import MmStruct
from uemu.mm.pte import AnyPte, Pte, SwapEntry

FD = 4
RW = PROT_READ | PROT_WRITE
BASE = 0x1000_0000_0000
NO_FD = -1 & (1 << 64) - 1


class Where(MemfdFrames):
    """Frames whose offsets are their numbers; no memory is needed here."""

    def __init__(self) -> None:
        pass

    def offset_of(self, pfn: int) -> int:
        """Frame 3 lies at 3 pages."""
        return pfn * PAGE_SIZE


class Call(NamedTuple):
    """What a call of mmap or mprotect does to which pages."""

    what: str
    page: int
    nr_pages: int
    prot: int
    pfn: int | None


class Process:
    """An address space whose pages have numbers, and its calls in words."""

    def __init__(self) -> None:
        self.mmu = LiveMmu(Where(), FD)
        self.mm = MmStruct(0, "parent")
        self.mmu.mm_created(0, None)

    def set(self, page: int, pte: AnyPte) -> None:
        base = BASE + page * PAGE_SIZE
        cell = self.mm.pte(base)
        self.mmu.set_pte(self.mm.id, base, cell.peek(), pte)
        cell.value = pte

    def raw(self) -> list[tuple[int, ...]]:
        return list(self.mmu.take_calls(self.mm.id))

    def calls(self, mm: int = 0) -> list[Call]:
        return [_in_words(call) for call in self.mmu.take_calls(mm)]

    def one_call(self) -> Call | None:
        call = self.mmu.take_call(self.mm.id)
        return None if call is None else _in_words(call)


def _in_words(call: tuple[int, ...]) -> Call:
    nr, addr, length, prot, flags, fd, offset = call
    page, nr_pages = (addr - BASE) // PAGE_SIZE, length // PAGE_SIZE
    if nr == SYS_MPROTECT:
        return Call("mprotect", page, nr_pages, prot, None)
    assert nr == SYS_MMAP
    if flags == SHARED_FIXED:
        assert fd == FD
        return Call("map", page, nr_pages, prot, offset // PAGE_SIZE)
    assert (flags, fd, prot) == (HIDDEN_FIXED, NO_FD, PROT_NONE)
    return Call("hide", page, nr_pages, prot, None)


@pytest.fixture
def process() -> Process:
    """An address space with nothing mapped."""
    return Process()


def test_the_flags_are_those_of_the_machine() -> None:
    assert SHARED_FIXED & 0xF == mmap.MAP_SHARED
    assert HIDDEN_FIXED & mmap.MAP_PRIVATE


@pytest.mark.parametrize(
    ("pte", "call"),
    [
        (Pte(7, True), Call("map", 0, 1, RW, 7)),
        (Pte(7, False), Call("map", 0, 1, PROT_READ, 7)),
        (Pte(7, True, user=False), Call("map", 0, 1, PROT_NONE, 7)),
    ],
)
def test_a_frame_is_mapped_as_its_entry_allows(process: Process, pte: Pte, call: Call) -> None:
    process.set(0, pte)
    assert process.calls() == [call]
    assert process.calls() == []


@pytest.mark.parametrize("entry", [None, SwapEntry(3)])
def test_what_is_not_present_is_hidden(process: Process, entry: AnyPte) -> None:
    process.set(0, entry)
    assert process.calls() == []  # it already is
    process.set(0, Pte(7, True))
    process.calls()
    process.set(0, entry)
    assert process.calls() == [Call("hide", 0, 1, PROT_NONE, None)]


def test_the_same_frame_with_another_protection_is_an_mprotect(process: Process) -> None:
    process.set(0, Pte(7, True))
    process.calls()
    process.set(0, Pte(7, False))
    assert process.calls() == [Call("mprotect", 0, 1, PROT_READ, None)]
    process.set(0, Pte(8, False))
    assert process.calls() == [Call("map", 0, 1, PROT_READ, 8)]


def test_only_the_last_change_counts(process: Process) -> None:
    process.set(0, Pte(7, True))
    process.calls()
    process.set(0, None)
    process.set(0, Pte(7, True))
    assert process.calls() == []


# Neighbours


def test_neighbours_that_change_alike_are_one_call(process: Process) -> None:
    for page in (2, 0, 1):
        process.set(page, Pte(10 + page, True))
    assert process.calls() == [Call("map", 0, 3, RW, 10)]
    for page in range(3):
        process.set(page, Pte(10 + page, False))
    assert process.calls() == [Call("mprotect", 0, 3, PROT_READ, None)]
    for page in range(3):
        process.set(page, None)
    assert process.calls() == [Call("hide", 0, 3, PROT_NONE, None)]


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ((2, Pte(12, True)), "a hole between them"),
        ((1, Pte(12, True)), "frames that are no neighbours"),
        ((1, Pte(11, False)), "another protection"),
    ],
)
def test_what_differs_is_a_call_of_its_own(
    process: Process, second: tuple[int, Pte], why: str
) -> None:
    process.set(0, Pte(10, True))
    process.set(*second)
    assert len(process.calls()) == 2, why


def test_a_remap_and_an_mprotect_do_not_join(process: Process) -> None:
    process.set(0, Pte(10, True))
    process.calls()
    process.set(0, Pte(10, False))
    process.set(1, Pte(11, False))
    assert process.calls() == [
        Call("mprotect", 0, 1, PROT_READ, None),
        Call("map", 1, 1, PROT_READ, 11),
    ]


# The one call of a fault


def test_a_fault_has_one_call(process: Process) -> None:
    process.set(0, Pte(7, False))
    assert process.one_call() == Call("map", 0, 1, PROT_READ, 7)
    process.set(0, Pte(7, True))
    assert process.one_call() == Call("mprotect", 0, 1, RW, None)
    assert process.one_call() is None
    assert process.calls() == []


def test_what_is_more_than_one_call_is_left_to_take_calls(process: Process) -> None:
    process.set(0, Pte(7, True))
    process.set(1, Pte(9, True))
    assert process.one_call() is None
    assert len(process.calls()) == 2


def test_what_a_fault_hides_is_left_to_take_calls(process: Process) -> None:
    process.set(0, Pte(7, True))
    process.calls()
    process.set(0, None)
    assert process.one_call() is None
    assert process.calls() == [Call("hide", 0, 1, PROT_NONE, None)]


# fork, munmap, and calls that failed


def test_a_child_has_what_its_parent_has_until_it_is_hidden(process: Process) -> None:
    for page in range(3):
        process.set(page, Pte(10 + page, False))
    process.calls()
    process.mmu.mm_created(1, 0)
    process.mmu.set_pte(1, BASE, None, Pte(10, False))  # shared
    process.mmu.set_pte(1, BASE + PAGE_SIZE, None, Pte(20, True))  # copied
    process.mmu.forked(0, 1)
    assert process.calls(1) == [
        Call("map", 1, 1, RW, 20),
        Call("hide", 2, 1, PROT_NONE, None),
    ]


def test_what_is_unmapped_is_forgotten(process: Process) -> None:
    process.set(0, Pte(7, True))
    process.set(1, Pte(8, True))
    process.calls()
    process.set(0, None)
    process.mmu.unmapped(0, BASE, BASE + PAGE_SIZE)
    assert process.calls() == []
    process.set(0, Pte(7, True))
    assert process.calls() == [Call("map", 0, 1, RW, 7)]


def test_a_call_that_failed_is_made_again_and_in_full(process: Process) -> None:
    process.set(0, Pte(7, True))
    process.calls()
    process.set(0, Pte(7, False))
    failed = process.raw()
    process.mmu.not_applied(process.mm, failed)  # type: ignore[arg-type]
    # Nobody knows what is there now, so an mprotect would not do.
    assert process.calls() == [Call("map", 0, 1, PROT_READ, 7)]
    assert process.calls() == []


def test_after_a_failure_the_entry_of_now_counts(process: Process) -> None:
    process.set(0, Pte(7, True))
    failed = process.raw()
    process.mm.pte(BASE).value = None
    process.mmu.not_applied(process.mm, failed)  # type: ignore[arg-type]
    assert process.calls() == [Call("hide", 0, 1, PROT_NONE, None)]


def test_an_address_space_that_is_gone_is_forgotten(process: Process) -> None:
    process.mmu.mm_gone(0)
    with pytest.raises(KeyError):
        process.calls()


def test_real_processes_need_no_flush(process: Process) -> None:
    assert process.mmu.cpus_of(0) == ()
