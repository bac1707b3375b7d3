"""An address space: finding, splitting and covering VMAs, entries as cells."""

from __future__ import annotations

import pytest

from uemu.abi import PAGE_SIZE
from uemu.mm.mm_struct import MmStruct
from uemu.mm.pte import Pte
from uemu.mm.vma import Vm, Vma

A, B, C, D, E = (0x10000 + n * PAGE_SIZE for n in range(5))


@pytest.fixture
def mm() -> MmStruct:
    """Two VMAs, ``[A, C)`` and ``[D, E)``, with a hole of one page between."""
    mm = MmStruct(0, "parent")
    mm.insert_vma(Vma(D, E, Vm.READ))
    mm.insert_vma(Vma(A, C, Vm.READ))
    return mm


def test_vmas_are_kept_sorted(mm: MmStruct) -> None:
    assert [vma.vm_start for vma in mm.vmas] == [A, D]


def test_find_vma_finds_the_one_that_contains_the_address(mm: MmStruct) -> None:
    assert mm.find_vma(A) is mm.vmas[0]
    assert mm.find_vma(C - 1) is mm.vmas[0]
    assert mm.find_vma(D) is mm.vmas[1]


@pytest.mark.parametrize("addr", [0, A - 1, C, D - 1, E])
def test_find_vma_finds_nothing_in_a_hole(mm: MmStruct, addr: int) -> None:
    assert mm.find_vma(addr) is None


def test_find_vma_forgets_what_was_removed_or_split(mm: MmStruct) -> None:
    whole = mm.find_vma(B)
    mm.split_at(B)
    upper = mm.find_vma(B)
    assert upper is not whole
    assert upper is not None
    mm.remove_vma(upper)
    assert mm.find_vma(B) is None
    assert mm.find_vma(A) is whole


def test_covers_needs_every_page(mm: MmStruct) -> None:
    assert mm.covers(A, C)
    assert mm.covers(B, C)
    assert not mm.covers(A, E)
    assert not mm.covers(C, D)


def test_split_makes_two_vmas_of_one(mm: MmStruct) -> None:
    mm.split_at(B)
    assert [(vma.vm_start, vma.vm_end) for vma in mm.vmas] == [(A, B), (B, C), (D, E)]
    mm.vmas[1].vm_flags |= Vm.DONTCOPY
    assert mm.vmas[0].vm_flags == Vm.READ


@pytest.mark.parametrize("addr", [A, C, D])
def test_split_at_a_boundary_or_in_a_hole_does_nothing(mm: MmStruct, addr: int) -> None:
    mm.split_at(addr)
    assert len(mm.vmas) == 2


def test_vmas_in_a_range_are_split_at_its_ends(mm: MmStruct) -> None:
    inside = mm.vmas_in(B, E)
    assert [(vma.vm_start, vma.vm_end) for vma in inside] == [(B, C), (D, E)]


@pytest.mark.parametrize("others", [0, 100])
def test_bases_in_lists_entries_that_are_set_in_order(mm: MmStruct, others: int) -> None:
    for n in range(others):  # enough of them turn the search round
        mm.pte(0x900000 + n * PAGE_SIZE).value = Pte(n, False)
    mm.pte(B).value = Pte(1000, False)
    mm.pte(A).value = Pte(1001, False)
    mm.pte(D).value = None
    assert mm.bases_in(A, E) == [A, B]
    assert mm.bases_in(B, E) == [B]


def test_an_entry_is_one_cell(mm: MmStruct) -> None:
    assert mm.pte(A) is mm.pte(A)
    assert mm.pte(A).name == ("pte", 0, A)


def test_an_extra_word_starts_at_zero_and_belongs_to_the_mm(mm: MmStruct) -> None:
    word = mm.extra("write_protect_seq")
    assert word.peek() == 0
    assert word is mm.extra("write_protect_seq")
    assert word.name == ("write_protect_seq", 0)
