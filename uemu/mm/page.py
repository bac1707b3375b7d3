"""The record of a page frame: who refers to it. Linux: struct page.

An explorer wants to know who looks at a count. Most of those who take a
reference and give it back do not: sums do not depend on the order, so these
steps do not conflict (`uemu.step.Cpu.count`). Who gives one back does look
whether it was the last, and who takes one for granted that the page is there.
What there is to see does not depend on the order either, as long as a PTE maps
the page:

    refcount = mapcount + the swap cache + the object of shared memory + what devices hold
               + what CPUs have in hand + what LRU pagevecs hold (`uemu.mm.pagevec`)

and none of the seven is ever negative. So `Mechanism.put_page` looks at the
mapcount first. Where it is not 0, neither will the refcount be, whoever comes
before or after, and the put only counts; to change that somebody has to write
the mapcount, which conflicts with the look. Where it is 0, the put looks at the
refcount: it conflicts with whoever takes or drops a reference, which decides who
frees the page. Who finds a page not freed (`is_freed`) relies on the same: what
could free it meanwhile is a put that looks, and conflicts.

What a CPU has in hand changes by its own steps alone, and is checked after each
of them (`uemu.mm.check.check_in_hand`). A mistake in the bookkeeping of a policy
therefore shows in every order of steps, and not only in those that an explorer
happens to run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from uemu.abi import GUP_PIN_COUNTING_BIAS
from uemu.step import Cell, Cpu, Op, Step

if TYPE_CHECKING:
    from uemu.mm.swap import SwapSlot
    from uemu.mm.vma import AddressSpace


PER_SUBPAGE = frozenset({"PG_anon_exclusive"})
"""The flags that each page of a compound page has for itself, where entries map them singly."""


class Page:
    """One frame's record.

    A compound page is one record per frame, a head and its tails: what they have
    in common is the head's cells. A tail's count, flags and swap entry are these;
    pages of hugetlb, which no entry maps singly, share the mapcount, too.

    Attributes:
        pfn: the frame's number.
        refcount: references of every kind: a PTE and a get add 1, a pin adds
            GUP_PIN_COUNTING_BIAS. The frame is freed when it falls to 0.
        mapcount: PTEs that map the frame (the kernel's _mapcount plus 1).
        anon: private anonymous memory; fixed before the page is first mapped.
        mapping: the object of shared memory that has it, and one reference of it.
        reserved: the zero page: neither counted, mapped-counted nor freed.
        swap: the slot whose copy it is, or None: PG_swapcache and its entry.
        head: of the compound page it belongs to: itself, if it is none or the first.
        nr: how many frames its compound page has.
        hugetlb: a page of the hugetlb pool.
        pincount: of a compound page: its pins, which count 1 in refcount, too.
            Linux: compound_pincount (v5.7).
    Invariants:
        check_refs  refcount covers mapcount and what devices hold.
    """

    __slots__ = (
        "_flags",
        "_words",
        "anon",
        "head",
        "hugetlb",
        "mapcount",
        "mapping",
        "nr",
        "pfn",
        "pincount",
        "refcount",
        "reserved",
        "swap",
    )

    def __init__(self, pfn: int, *, reserved: bool = False) -> None:
        self.pfn = pfn
        self.refcount: Cell[int] = Cell(("refcount", pfn), 1)
        self.mapcount: Cell[int] = Cell(("mapcount", pfn), 0)
        self.anon = not reserved
        self.mapping: AddressSpace | None = None
        self.reserved = reserved
        self.swap: Cell[SwapSlot | None] = Cell(("PG_swapcache", pfn), None)
        self.head = self
        self.nr = 1
        self.hugetlb = False
        self.pincount: Cell[int] | None = None
        self._flags: dict[str, Cell[bool]] = {}
        self._words: dict[str, Cell[int]] = {}

    def prep_compound_page(self, tails: Sequence[Page], *, hugetlb: bool) -> None:
        """Become the head of fresh pages, whose frames follow. Linux: prep_compound_page()."""
        self.pincount = Cell(("compound_pincount", self.pfn), 0)
        for page in (self, *tails):
            page.head, page.nr, page.hugetlb = self, 1 + len(tails), hugetlb
            page.refcount, page.swap, page.pincount = self.refcount, self.swap, self.pincount
            if hugetlb:
                page.mapcount = self.mapcount

    def split_compound_page(self, tails: Sequence[Page]) -> None:
        """Be a page like any other from now on, and so the tails, with one reference each.

        Linux: __split_huge_page_tail().
        """
        for page in tails:
            page.refcount = Cell(("refcount", page.pfn), 1)
            page.swap = Cell(("PG_swapcache", page.pfn), None)
        for page in (self, *tails):
            page.head, page.nr, page.pincount = page, 1, None

    @property
    def locked(self) -> Cell[bool]:
        """PG_locked."""
        return self.flag("PG_locked")

    @property
    def dirty(self) -> Cell[bool]:
        """PG_dirty; of what is not in the swap cache nobody asks."""
        return self.flag("PG_dirty")

    @property
    def writeback(self) -> Cell[bool]:
        """PG_writeback."""
        return self.flag("PG_writeback")

    @property
    def ksm(self) -> Cell[bool]:
        """PageKsm: one page for many that had the same bytes; nobody stores to it."""
        return self.flag("PG_ksm")

    @property
    def anon_exclusive(self) -> Cell[bool]:
        """PG_anon_exclusive, for the policies that know it."""
        return self.flag("PG_anon_exclusive")

    def flag(self, name: str) -> Cell[bool]:
        """A page flag, clear in a fresh page; a policy may add its own (``"PG_gup"``)."""
        if self.head is not self and (self.hugetlb or name not in PER_SUBPAGE):
            return self.head.flag(name)
        cell = self._flags.get(name)
        if cell is None:
            cell = self._flags[name] = Cell((name, self.pfn), False)
        return cell

    def word(self, name: str) -> Cell[int]:
        """A word that one policy adds to every page, 0 in a fresh one (``"reader"``)."""
        if self.head is not self:
            return self.head.word(name)
        cell = self._words.get(name)
        if cell is None:
            cell = self._words[name] = Cell((name, self.pfn), 0)
        return cell

    def flags_set(self) -> tuple[str, ...]:
        """The names of the flags that are set now, for drawings and reports."""
        return tuple(name for name, cell in sorted(self._flags.items()) if cell.peek())

    def __repr__(self) -> str:
        counts = f"{self.refcount.peek()}/{self.mapcount.peek()}"
        return " ".join((f"<pfn {self.pfn} {counts}", *self.flags_set())) + ">"


def page_count(cpu: Cpu, page: Page) -> int:
    """References to the page. Linux: page_count()."""
    return cpu.read(page.refcount)


def is_freed(cpu: Cpu, page: Page) -> bool:
    """Whether nobody refers to the page any more; who takes a reference if not only counts."""
    if cpu.recording and page.refcount.peek() > 0:
        return False
    return page_count(cpu, page) == 0


def page_mapcount(cpu: Cpu, page: Page) -> int:
    """PTEs that map the page. Linux: page_mapcount()."""
    return cpu.read(page.mapcount)


def page_maybe_dma_pinned(cpu: Cpu, page: Page) -> bool:
    """Whether the page may be pinned; a page with 1024 gets looks the same, unless compound.

    Linux: include/linux/mm.h:page_maybe_dma_pinned() (v5.7).
    """
    if page.pincount is not None:
        return cpu.read(page.pincount) > 0
    return cpu.read(page.refcount) >= GUP_PIN_COUNTING_BIAS


def set_page_dirty(cpu: Cpu, page: Page) -> None:
    """Say that a cached page is not what its slot has. Linux: set_page_dirty_lock()."""
    if cpu.read(page.swap) is not None:
        cpu.write(page.dirty, True)


def trylock_page(cpu: Cpu, page: Page) -> bool:
    """Take PG_locked if it is free. Linux: trylock_page(). Atomic: call inside a step."""
    return not cpu.rmw(page.locked, lambda _: True)


def lock_page(cpu: Cpu, page: Page) -> Op[None]:
    """Wait for PG_locked, and take it; the caller has a reference. Linux: lock_page()."""
    yield Step("lock_page", f"pfn {page.pfn}", lambda: not page.locked.value, True)
    cpu.rmw(page.locked, lambda _: True)


def is_locked(cpu: Cpu, page: Page) -> bool:
    """Whether somebody has PG_locked. Linux: PageLocked(). Atomic: call inside a step.

    Who gives the lock back in the step that takes it only looks: a trylock_page()
    fails if this is true, and nobody sees one that does not.
    """
    return cpu.read(page.locked)


def unlock_page(cpu: Cpu, page: Page) -> None:
    """Give PG_locked back, by a locked instruction. Linux: unlock_page(). Atomic: inside a step."""
    cpu.rmw(page.locked, lambda _: False)
