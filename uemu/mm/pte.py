"""Page table entries: None (nothing mapped), a `Pte`, a `SwapEntry`, a `MigrationEntry`."""

from __future__ import annotations

from typing import NamedTuple


class Pte(NamedTuple):
    """A present page table entry. Linux: pte_t with _PAGE_PRESENT.

    Attributes:
        pfn: the frame.
        write: _PAGE_RW.
        dirty: _PAGE_DIRTY as the kernel sets it; what a CPU sets by itself on
            a store to a writable page is not modelled.
        user: false for a page of a PROT_NONE mapping, _PAGE_PROTNONE.
        nr: the pages it maps, from ``pfn`` on: several in a huge entry (a pmd).
    """

    pfn: int
    write: bool
    dirty: bool = False
    user: bool = True
    nr: int = 1

    def wrprotect(self) -> Pte:
        """The same entry without _PAGE_RW."""
        return self._replace(write=False)

    def mkwrite(self) -> Pte:
        """The same entry with _PAGE_RW."""
        return self._replace(write=True)

    def sub(self, i: int) -> Pte:
        """Page ``i`` of a huge entry, as an entry of its own."""
        return Pte(self.pfn + i, self.write, self.dirty, self.user)


class SwapEntry(NamedTuple):
    """A page table entry that names a slot of swap. Linux: swp_entry_t.

    Attributes:
        entry: the slot's number.
        exclusive: the page was this mm's alone. Linux: pte_swp_exclusive() (v5.19).
    """

    entry: int
    exclusive: bool = False


class MigrationEntry(NamedTuple):
    """A page table entry whose page is about to move; a fault on it waits.

    Linux: make_writable_migration_entry() and its like.

    Attributes:
        pte: what was there, and will be again with the frame that it is then.
        exclusive: the page was this mm's alone (v5.19).
    """

    pte: Pte
    exclusive: bool = False


AnyPte = Pte | SwapEntry | MigrationEntry | None
