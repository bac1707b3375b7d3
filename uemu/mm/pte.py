"""Page table entries. An entry is None (nothing mapped), a `Pte` or a `SwapEntry`."""

from __future__ import annotations

from typing import NamedTuple


class Pte(NamedTuple):
    """A present page table entry. Linux: pte_t with _PAGE_PRESENT.

    Attributes:
        pfn: the frame.
        write: _PAGE_RW.
        dirty: _PAGE_DIRTY as the kernel sets it; what a CPU sets by itself on
            a store to a writable page is not modelled.
    """

    pfn: int
    write: bool
    dirty: bool = False

    def wrprotect(self) -> Pte:
        """The same entry without _PAGE_RW."""
        return Pte(self.pfn, False, self.dirty)

    def mkwrite(self) -> Pte:
        """The same entry with _PAGE_RW."""
        return Pte(self.pfn, True, self.dirty)


class SwapEntry(NamedTuple):
    """A page table entry that names a place in swap. Linux: swp_entry_t."""

    entry: int


AnyPte = Pte | SwapEntry | None
