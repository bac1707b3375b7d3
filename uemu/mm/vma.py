"""Areas of an address space. Linux: struct vm_area_struct."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from uemu.abi import PAGE_SIZE, PROT_READ, PROT_WRITE
from uemu.step import Cell

if TYPE_CHECKING:
    from uemu.mm.page import Page


class Vm:
    """vm_flags bits, plain integers. Linux: VM_* of include/linux/mm.h; the values are ours."""

    READ: Final = 0x1
    WRITE: Final = 0x2
    SHARED: Final = 0x8
    MAYWRITE: Final = 0x20
    DONTCOPY: Final = 0x20000
    HUGETLB: Final = 0x400000
    HUGEPAGE: Final = 0x20000000
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


class AddressSpace:
    """The pages of an object that areas map. Linux: struct address_space, of a shmem inode.

    Attributes:
        number: its name, as long as the emulated kernel runs.
        nr_pages: its size, in pages.
        i_pages: index in the object to the cell of its page; one that was
            never touched has no cell yet.
    """

    __slots__ = ("i_pages", "nr_pages", "number")

    def __init__(self, number: int, nr_pages: int) -> None:
        self.number = number
        self.nr_pages = nr_pages
        self.i_pages: dict[int, Cell[Page | None]] = {}

    def page(self, index: int) -> Cell[Page | None]:
        """The cell of the page at ``index``."""
        cell = self.i_pages.get(index)
        if cell is None:
            cell = self.i_pages[index] = Cell(("i_pages", self.number, index), None)
        return cell

    def __repr__(self) -> str:
        return f"<shared memory {self.number}>"


@dataclass(slots=True)
class Vma:
    """A mapping of ``[vm_start, vm_end)``, page-aligned bytes: anonymous, private or shared.

    Attributes:
        vm_flags: what is allowed, and what fork does with it.
        vm_file: the object that a shared mapping shows; None: it is private.
        vm_pgoff: which page of the object is at ``vm_start``.
    """

    vm_start: int
    vm_end: int
    vm_flags: int
    vm_file: AddressSpace | None = None
    vm_pgoff: int = 0

    def pgoff(self, base: int) -> int:
        """Which page of the object is at ``base``. Linux: linear_page_index()."""
        return self.vm_pgoff + (base - self.vm_start) // PAGE_SIZE

    def contains(self, addr: int) -> bool:
        """Whether ``addr`` lies inside."""
        return self.vm_start <= addr < self.vm_end

    def is_cow_mapping(self) -> bool:
        """Private and possibly writable. Linux: is_cow_mapping()."""
        return self.vm_flags & (Vm.SHARED | Vm.MAYWRITE) == Vm.MAYWRITE

    def is_hugetlb(self) -> bool:
        """Whether it has pages of the hugetlb pool. Linux: is_vm_hugetlb_page()."""
        return self.vm_flags & Vm.HUGETLB != 0

    def may_be_huge(self) -> bool:
        """Whether huge entries may map it."""
        return self.vm_flags & (Vm.HUGETLB | Vm.HUGEPAGE) != 0

    def writable(self) -> bool:
        """Whether the mm may store here."""
        return self.vm_flags & Vm.WRITE != 0

    def copy(self) -> Vma:
        """A VMA of its own with the same contents."""
        return replace(self)
