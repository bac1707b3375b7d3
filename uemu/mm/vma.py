"""Areas of an address space. Linux: struct vm_area_struct."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from uemu.abi import PROT_READ, PROT_WRITE


class Vm(enum.IntFlag):
    """vm_flags. Linux: VM_* of include/linux/mm.h; the values here are ours."""

    READ = 0x1
    WRITE = 0x2
    MAYWRITE = 0x20
    DONTCOPY = 0x20000
    WIPEONFORK = 0x2000000

    @classmethod
    def from_prot(cls, prot: int) -> Vm:
        """The access bits that PROT_* ask for (PROT_WRITE implies reading on x86)."""
        flags = cls(0)
        if prot & PROT_READ:
            flags |= cls.READ
        if prot & PROT_WRITE:
            flags |= cls.READ | cls.WRITE
        return flags


@dataclass(slots=True)
class Vma:
    """A private anonymous mapping of ``[vm_start, vm_end)``, page-aligned bytes.

    Attributes:
        vm_flags: what is allowed, and what fork does with it.
    """

    vm_start: int
    vm_end: int
    vm_flags: Vm

    def contains(self, addr: int) -> bool:
        """Whether ``addr`` lies inside."""
        return self.vm_start <= addr < self.vm_end

    def is_cow_mapping(self) -> bool:
        """Private and possibly writable. Linux: is_cow_mapping()."""
        return bool(self.vm_flags & Vm.MAYWRITE)

    def writable(self) -> bool:
        """Whether the mm may store here."""
        return Vm.WRITE in self.vm_flags

    def copy(self) -> Vma:
        """A VMA of its own with the same contents."""
        return replace(self)
