"""Areas of an address space. Linux: struct vm_area_struct."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from uemu.abi import PROT_READ, PROT_WRITE


class Vm:
    """vm_flags bits, plain integers. Linux: VM_* of include/linux/mm.h; the values are ours."""

    READ: Final = 0x1
    WRITE: Final = 0x2
    MAYWRITE: Final = 0x20
    DONTCOPY: Final = 0x20000
    WIPEONFORK: Final = 0x2000000
    DONTCOW: Final = 0x40000000
    """A proposal of 2009: see `uemu.policy.piggin_2009_vma`."""


def vm_flags_of(prot: int) -> int:
    """The access bits that PROT_* ask for (PROT_WRITE implies reading on x86)."""
    flags = 0
    if prot & PROT_READ:
        flags |= Vm.READ
    if prot & PROT_WRITE:
        flags |= Vm.READ | Vm.WRITE
    return flags


@dataclass(slots=True)
class Vma:
    """A private anonymous mapping of ``[vm_start, vm_end)``, page-aligned bytes.

    Attributes:
        vm_flags: what is allowed, and what fork does with it.
    """

    vm_start: int
    vm_end: int
    vm_flags: int

    def contains(self, addr: int) -> bool:
        """Whether ``addr`` lies inside."""
        return self.vm_start <= addr < self.vm_end

    def is_cow_mapping(self) -> bool:
        """Private and possibly writable. Linux: is_cow_mapping()."""
        return self.vm_flags & Vm.MAYWRITE != 0

    def writable(self) -> bool:
        """Whether the mm may store here."""
        return self.vm_flags & Vm.WRITE != 0

    def copy(self) -> Vma:
        """A VMA of its own with the same contents."""
        return replace(self)
