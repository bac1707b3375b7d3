"""A lock for fork alone (Torvalds, 2009-03-16).

"So having a fork-specific lock (but not naming it by directio) actually does
make sense": a semaphore in each mm, beside mmap_sem, which fork holds for
writing. Whoever calls get_user_pages takes it for reading first and "hold[s]
the lock for reading for as long as [it] hold[s] the reference count to the
page", in whatever system call that ends: pipes that vmsplice fills too. mmap,
munmap and page faults never wait for it.

Holds:   whatever is held when fork comes belongs to the process that holds it,
         whoever took the reference, to read or to write, AIO too; gup-fast and
         fork exclude each other.
Breaks:  what is submitted after fork: a read gup takes the shared page and the
         device receives the child's bytes (foreign-dma-read), a registration
         goes stale (stale-dma-read), a pipe that a child keeps reads what the
         parent stores (secret-leak); N. Piggin, 17:19, conceded at 17:42. A
         process that holds a page for long cannot fork (deadlock): registered
         memory, a pipe that its child is to read.
Costs:   fork waits for the slowest I/O in flight, also for one to a buffer that
         MADV_DONTFORK keeps from it, and new I/O waits for that fork
         (fork-blocked); a cache line per mm that every gup writes twice.
Relies:  down_read() comes before the lookup, and before mmap_sem, which gup
         takes; it may be given back by another task than took it.
Source:  L. Torvalds, 2009-03-16 16:32 and 17:02; N. Piggin, 16:50 and 17:19,
         on what it leaves; document 003. No patch was posted: where fork takes
         it is KOSAKI's patch of 16:01, to which all this is a reply. For the
         variant, A. Arcangeli, Message-ID
         <20090316135654.GA17949@random.random>.
Not modelled: signals: fork takes the lock with down_write_killable(), so that
         whoever waits for ever can be killed; what else calls get_user_pages,
         and "doesn't want that serialization (maybe ptrace?)".
Variants: lookup, "take it just over the get_user_pages() call" (17:02), "then
         you can do per-page flags or whatever and not have to worry about
         concurrent lookups" (16:32): the flag and what fork does with it are
         arcangeli-2009-v1's; the lock stands for its second look and its
         barriers, as Piggin understands it (16:50). fork waits for lookups,
         never for I/O.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import Foll
from uemu.mm.hooks import NeedFault
from uemu.mm.lock_hooks import IoRequest
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.policy.arcangeli_2009_v1 import Arcangeli2009V1
from uemu.step import Cpu, Op


class Torvalds2009ForkLock(Arcangeli2009V1):
    """2.6.29 with a lock that fork writes and whoever holds a page reads.

    The parent class is for the variant; without it the rules are 2.6.29's.
    """

    name = "torvalds-2009-fork-lock"
    summary = "whoever holds a page holds a lock for reading that fork takes for writing"
    copy_looks = "share read-only"
    variants: ClassVar = {"lookup": "gup holds it for the lookup only, and marks the page PG_gup"}
    makes_wait = True
    not_for_programs = "fork waits for I/O, and a program that runs cannot be made to"

    @property
    def marks(self) -> bool:
        """Whether gup marks pages, and fork looks at the marks."""
        return self.variant == "lookup"

    # The lock --------------------------------------------------------------------------------

    def down_read(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """Keep fork out."""
        sem = mm.sem("fork_sem")
        yield sem.read_step("get_user_pages", "fork_sem for reading")
        sem.down_read(cpu)

    def io_begin(self, cpu: Cpu, request: IoRequest) -> Op[None]:
        """The caller of get_user_pages takes it ..."""
        if not self.marks:
            yield from self.down_read(cpu, request.mm)

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        """... and gives it back with the pages, or whoever ends its I/O does."""
        if not self.marks:
            request.mm.sem("fork_sem").up_read(cpu)

    def gup_begin(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """In the variant the lock is get_user_pages' and gup-fast's own."""
        if self.marks:
            yield from self.down_read(cpu, mm)

    def gup_end(self, cpu: Cpu, mm: MmStruct) -> None:
        """The pages are held, and marked."""
        if self.marks:
            mm.sem("fork_sem").up_read(cpu)

    def fork_begin(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """down_write_killable(), before mmap_sem."""
        yield from mm.sem("fork_sem").write(cpu, "dup_mmap", "fork_sem for writing, killable")

    def fork_end(self, cpu: Cpu, mm: MmStruct) -> None:
        """up_write()."""
        mm.sem("fork_sem").up_write(cpu)

    # The variant's flag ------------------------------------------------------------------------

    def smp_mb(self, cpu: Cpu) -> None:
        """None: the lock orders the flag and fork's look at it."""

    def looks_again(self) -> bool:
        """No: fork cannot have come in between."""
        return False

    def gup_fast_pte(self, cpu: Cpu, mm: MmStruct, base: int, foll: Foll) -> Op[Page | None]:
        """Hold, and mark."""
        if self.marks:
            return super().gup_fast_pte(cpu, mm, base, foll)
        return super(Arcangeli2009V1, self).gup_fast_pte(cpu, mm, base, foll)

    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        """Hold, and mark."""
        if self.marks:
            return super().follow_page_pte(cpu, mm, vma, base, foll)
        return super(Arcangeli2009V1, self).follow_page_pte(cpu, mm, vma, base, foll)

    def gup_huge_pmd(
        self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte, nr: int, foll: Foll
    ) -> Op[list[Page] | None]:
        """Hold, and mark."""
        if self.marks:
            return super().gup_huge_pmd(cpu, mm, base, pmd, nr, foll)
        return super(Arcangeli2009V1, self).gup_huge_pmd(cpu, mm, base, pmd, nr, foll)

    def hugetlb_held(self, cpu: Cpu, page: Page) -> None:
        """Mark a page of hugetlb, too."""
        if self.marks:
            super().hugetlb_held(cpu, page)

    def copy_huge_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        """Share, unless the page is marked."""
        if self.marks:
            return super().copy_huge_pte(cpu, src, dst, vma, base)
        return super(Arcangeli2009V1, self).copy_huge_pte(cpu, src, dst, vma, base)

    def copy_writable_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int, pte: Pte
    ) -> Op[None]:
        """Share, unless the page is marked and held."""
        if self.marks:
            return super().copy_writable_pte(cpu, src, dst, vma, base, pte)
        return super(Arcangeli2009V1, self).copy_writable_pte(cpu, src, dst, vma, base, pte)
