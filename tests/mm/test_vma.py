"""VMAs: what PROT_* become, and who may write."""

from __future__ import annotations

import pytest

from uemu.abi import PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE
from uemu.mm.vma import Vm, Vma, vm_flags_of


@pytest.mark.parametrize(
    ("prot", "flags"),
    [
        (PROT_NONE, 0),
        (PROT_READ, Vm.READ),
        (PROT_WRITE, Vm.READ | Vm.WRITE),
        (PROT_READ | PROT_WRITE, Vm.READ | Vm.WRITE),
        (PROT_READ | PROT_EXEC, Vm.READ),
    ],
)
def test_protection_becomes_access_bits(prot: int, flags: int) -> None:
    assert vm_flags_of(prot) == flags


def test_contains_its_first_byte_and_not_its_end() -> None:
    vma = Vma(0x1000, 0x3000, Vm.READ)
    assert vma.contains(0x1000)
    assert vma.contains(0x2FFF)
    assert not vma.contains(0x3000)
    assert not vma.contains(0xFFF)


def test_a_mapping_that_lost_write_stays_a_cow_mapping() -> None:
    read_only = Vma(0x1000, 0x2000, Vm.READ | Vm.MAYWRITE)
    assert read_only.is_cow_mapping()
    assert not read_only.writable()
    assert not Vma(0x1000, 0x2000, Vm.READ).is_cow_mapping()


def test_a_copy_is_independent() -> None:
    vma = Vma(0x1000, 0x2000, Vm.READ)
    copy = vma.copy()
    copy.vm_flags |= Vm.DONTCOPY
    assert vma.vm_flags == Vm.READ
