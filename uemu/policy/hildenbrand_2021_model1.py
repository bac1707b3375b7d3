"""Exclusive pages, first model (Hildenbrand, 2021-12): a bit for whatever is mapped writable.

"Whenever mapping an anonymous page R/W (after COW, during ordinary fault, on
swapin), we mark the page exclusive", and the bit is never lost. A write fault
reuses what has one reference, "no matter what"; what has more it reuses if
the bit is set. "fork() will process the bit for each and every process, even
if there was no GUP, and will copy if there are additional references": else
it clears the bit and shares. gup asks for nothing new, fast or slow, and what
is taken to read may be shared. The rest is 5.11. J. Gunthorpe prefers this
model; PG_anon_exclusive of 5.19 is it, with unsharing on top.

Holds:   whoever holds a page that is exclusive, get or pin, to read or to write,
         before fork or between two mprotects, keeps it; a device never
         receives another process's bytes.
Breaks:  a get that gup-fast takes between fork's look at the count and its
         write-protection is shared, and lost when its owner stores
         (lost-dma-write, dma-write-seen-by-other): fork cannot see it, and
         write_protect_seq is asked for pins alone. A read-only reference to a
         page that is not exclusive goes stale ("broken like VFIO",
         stale-dma-read). Hugetlb, of which nothing is said, is 5.11's: the bit
         is not asked after. fork's copy is no snapshot, as in 5.9
         (torn-fork-copy).
Costs:   at fork one look at each page's bit and count, an atomic for each that
         is shared, and a copy for each that anybody refers to, a pipe included.
Relies:  the bit changes under the page table lock; one PTE maps what has it.
Source:  document 000, D. Hildenbrand, 2021-12-21 16:19 +0100, quoted and
         answered by J. Gunthorpe ("I prefer this one as well"); there is no
         patch. That a page which FOLL_FORCE copied is exclusive, although it is
         not mapped writable, is said there too ("then we know they get
         PageAnonExclusive"). Linux v5.11, as in linux-5.11, for the rest.
         Nothing is said of transparent huge pages there; what is here follows
         from the rules: one bit for a huge entry, and an entry whose page is
         referred to is split, after which every page of it has "additional
         references" and is copied.
Not modelled: FAULT_FLAG_UNSHARE,
         left "out of the picture for now" (see linux-5.19); the order in which a
         write fault asks the count and the bit, which changes nothing; what
         linux-5.11 does not model.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, page_count, trylock_page, unlock_page
from uemu.mm.pte import MigrationEntry, Pte, SwapEntry
from uemu.mm.swap import swap_free, try_to_free_swap
from uemu.mm.vma import Vm, Vma
from uemu.policy.linux_5_11 import Linux5_11
from uemu.step import Cpu, Op, Step


class Hildenbrand2021Model1(Linux5_11):
    """W asks the bit and the count; F the same; G nothing.

    Attributes:
        dup_fn: the function in which fork decides, for drawings.
    """

    name = "hildenbrand-2021-model1"
    summary = "what is mapped writable is exclusive; fork copies it if anybody refers to it"
    variants: ClassVar = {}
    copy_looks = "exclusive and held ?"
    wp_looks = "exclusive ?"
    thp_copy_looks = "exclusive and held ?"
    thp_wp_looks = "exclusive ?"
    dup_fn: ClassVar[str] = "copy_present_pte"

    def new_anon_page(self, cpu: Cpu, page: Page) -> None:
        """A fresh page is exclusive."""
        self.set_anon_exclusive(cpu, page, True)

    def set_anon_exclusive(self, cpu: Cpu, page: Page, exclusive: bool) -> None:
        """A locked set_bit() or clear_bit(). Linux: SetPageAnonExclusive()."""
        cpu.rmw(page.anon_exclusive, lambda _: exclusive)

    def has_other_references(self, cpu: Cpu, page: Page) -> bool:
        """Whether anybody but one entry and the swap cache refers to a page."""
        cached = cpu.read(page.swap) is not None
        return page_count(cpu, page) > 1 + cached

    # swap, migration ----------------------------------------------------------------------

    def swap_entry_for(
        self, cpu: Cpu, mm: MmStruct, page: Page, entry: SwapEntry
    ) -> Op[SwapEntry | None]:
        """The entry remembers what was exclusive, so that the bit is never lost."""
        if not cpu.read(page.anon_exclusive):
            return entry
        if not (yield from self.try_share(cpu, page)):
            return None
        return entry._replace(exclusive=True)

    def migration_entry_for(
        self, cpu: Cpu, page: Page, entry: MigrationEntry
    ) -> Op[MigrationEntry | None]:
        """So does that of a page that moves."""
        if not cpu.read(page.anon_exclusive):
            return entry
        if not (yield from self.try_share(cpu, page)):
            return None
        return entry._replace(exclusive=True)

    def migrated(self, cpu: Cpu, page: Page, entry: MigrationEntry) -> None:
        """What was exclusive is so again. Linux: remove_migration_pte."""
        if entry.exclusive:
            self.set_anon_exclusive(cpu, page, True)

    def fork_swap_entry(self, cpu: Cpu, src: MmStruct, base: int, entry: SwapEntry) -> SwapEntry:
        """Neither has it exclusive from now on. Linux: copy_nonpresent_pte."""
        shared = entry._replace(exclusive=False)
        if entry.exclusive:
            self.mech.set_pte_at(cpu, src, base, shared)
        return shared

    def swap_in_pte(self, cpu: Cpu, vma: Vma, page: Page, entry: SwapEntry, *, write: bool) -> Pte:
        """Exclusive if the entry says so or nobody else refers to it. Linux: do_swap_page."""
        mech = self.mech
        swap_free(mech, cpu, mech.swap.of(entry))
        if write and page_count(cpu, page) == 2:  # should_try_to_free_swap()
            try_to_free_swap(mech, cpu, page)
        pte = Pte(page.pfn, write=False, user=vma.vm_flags & Vm.READ != 0)
        if not (entry.exclusive or page_count(cpu, page) == 1):
            return pte
        self.set_anon_exclusive(cpu, page, True)
        return pte._replace(write=vma.writable(), dirty=True) if write else pte

    # fork -------------------------------------------------------------------------------

    def copy_present_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        """Clear the bit and share, or copy."""
        lock = src.page_table_lock
        yield lock.step(self.dup_fn, self.copy_looks)
        lock.enter(cpu)
        pte = cpu.read(src.pte(base))
        if not isinstance(pte, Pte):
            return
        page = self.mech.page_of(pte)
        exclusive = not page.reserved and cpu.read(page.anon_exclusive)
        if exclusive and self.fork_must_copy(cpu, src, page):
            yield from self.copy_present_page(cpu, src, dst, vma, base, page)
            return
        if exclusive:
            lock.acquire(cpu)
            yield Step(self.dup_fn, "no longer exclusive")
            self.set_anon_exclusive(cpu, page, False)
        yield from self.share_present_pte(cpu, src, dst, vma, base, pte)

    def fork_must_copy(self, cpu: Cpu, src: MmStruct, page: Page) -> bool:
        """Whether an exclusive page may not be shared: "additional references"."""
        return self.has_other_references(cpu, page)

    # THP: one bit for what a huge entry maps, the head's ------------------------------------

    def thp_fork_splits(self, cpu: Cpu, src: MmStruct, page: Page) -> bool:
        """An exclusive huge page that may not be shared."""
        return cpu.read(page.anon_exclusive) and self.fork_must_copy(cpu, src, page)

    def thp_fork_shares(self, cpu: Cpu, src: MmStruct, pmd: Pte, page: Page) -> Op[None]:
        """Clear the bit first."""
        if cpu.read(page.anon_exclusive):
            src.page_table_lock.acquire(cpu)
            yield Step(self.dup_fn, "no longer exclusive")
            self.set_anon_exclusive(cpu, page, False)
        yield from super().thp_fork_shares(cpu, src, pmd, page)

    def thp_reuse(self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte, page: Page) -> Op[bool | None]:
        """As a small page. Linux: do_huge_pmd_wp_page (v5.19)."""
        return self.reuse_anon_page(cpu, mm, base, pmd, page)

    def thp_was_split(self, cpu: Cpu, pages: list[Page]) -> None:
        """Each page is exclusive if they all were. Linux: __split_huge_pmd_locked (v5.19)."""
        if cpu.read(pages[0].anon_exclusive):
            for page in pages[1:]:
                self.set_anon_exclusive(cpu, page, True)

    # write fault ------------------------------------------------------------------------

    def reuse_anon_page(
        self, cpu: Cpu, mm: MmStruct, base: int, pte: Pte, page: Page
    ) -> Op[bool | None]:
        """Reuse what is exclusive, or has one reference and so is taken over."""
        if cpu.read(page.anon_exclusive):
            return True
        self.before_the_count(cpu, page)
        # The kernel asks for the count twice, before it takes the page lock and
        # under it: whoever came in between might as well have come before.
        if not self.may_take_over(cpu, page):
            return False
        mm.page_table_lock.acquire(cpu)
        yield Step("page_move_anon_rmap", "take the page over", locked=True)
        self.take_over(cpu, page)
        unlock_page(cpu, page)
        return True

    def may_take_over(self, cpu: Cpu, page: Page) -> bool:
        """Whether nobody else refers to the page; it is locked then, and not cached."""
        if cpu.read(page.ksm) or self.has_other_references(cpu, page):
            return False
        if not trylock_page(cpu, page):
            return False
        if cpu.read(page.swap) is None or try_to_free_swap(self.mech, cpu, page):
            return True
        unlock_page(cpu, page)
        return False

    def ksm_finds_held(self, cpu: Cpu, page: Page) -> Op[bool]:
        """A page that many are to map loses the bit. Linux: write_protect_page."""
        if (yield from super().ksm_finds_held(cpu, page)):
            return True
        return cpu.read(page.anon_exclusive) and not (yield from self.try_share(cpu, page))

    def try_share(self, cpu: Cpu, page: Page) -> Op[bool]:
        """Take the bit from a page whose entry is cleared and flushed; whether it may be."""
        self.set_anon_exclusive(cpu, page, False)
        return True
        yield  # pragma: no cover

    def before_the_count(self, cpu: Cpu, page: Page) -> None:
        """A write fault is about to ask for the count. Atomic: call inside a step."""

    def take_over(self, cpu: Cpu, page: Page) -> None:
        """A write fault found no other reference: the page is exclusive. Atomic: inside a step."""
        self.set_anon_exclusive(cpu, page, True)
