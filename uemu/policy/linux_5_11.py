"""Linux 5.11: 5.9, and gup-fast cannot pin a page while fork shares it.

fork raises write_protect_seq around the entries of a COW mapping; a gup-fast
with FOLL_PIN that sees it odd, or finds it moved when it is done, gives its
pins back and takes the slow path, which waits for fork. So fork sees every
pin that stays. What a write fault decides is as in 5.9. 5.10 with the fixes
of its stable series does the same.

Holds:   pins over fork, fast ones too; a device never receives another
         process's bytes.
Breaks:  as 5.9: an O_DIRECT read in flight over fork is lost when its owner
         stores (lost-dma-write), for it gets, and gets do not ask the
         seqcount; mprotect to read-only and back loses pins as well, with no
         fork at all; a read-only pin of a shared page goes stale
         (stale-dma-read); of hugetlb pins over fork, which copies none before
         v5.12; fork's copy is no snapshot (torn-fork-copy).
Costs:   as 5.9; gup-fast with FOLL_PIN reads a counter twice, fork writes it
         twice for each COW mapping.
Relies:  write_protect_seq has one writer at a time: mmap_lock, held for
         writing.
Source:  Linux v5.11, mm/memory.c:copy_page_range; mm/gup.c:
         lockless_pages_from_mm; document 002 (2021-09-29), who asks the
         counter and who does not. Since Linux kernel commit 57efa1fe5957
         ("mm/gup: prevent gup_fast from racing with COW during fork"),
         feb889fb40fa ("mm: don't put pinned pages into the swap cache"),
         9348b73c2e1b ("mm: don't play games with pinned pages in
         clear_page_refs"), which does not ask the seqcount.
Not modelled: what linux-5.9 does not model.
Variants: clear-refs-seq, what L. Torvalds proposes on 2021-09-29 15:47 (document
         002): clear_refs, too, raises the counter around its look for pins, so
         that gup-fast cannot pin what it is about to write-protect. It changes
         clear_refs alone.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import Foll
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, page_maybe_dma_pinned
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.policy.linux_5_9 import Linux5_9
from uemu.step import Cpu, Op, Step

WRITE_PROTECT_SEQ = "write_protect_seq"


class Linux5_11(Linux5_9):
    """W of 5.9; F and fast pins of G exclude each other by write_protect_seq."""

    name = "linux-5.11"
    year = 2021
    clear_refs_downgrades = False
    unmap_asks_young = False
    summary = "as linux-5.9, and gup-fast does not pin while fork runs: write_protect_seq"
    variants: ClassVar = {
        "clear-refs-seq": "clear_refs raises write_protect_seq, too, while it looks for pins"
    }

    def copy_page_range_begin(self, cpu: Cpu, src: MmStruct) -> Op[None]:
        """Nobody pins by gup-fast from here on."""
        return self.write_protect_begin(cpu, src, "copy_page_range")

    def copy_page_range_end(self, cpu: Cpu, src: MmStruct) -> Op[None]:
        """What was write-protected cannot be taken any more."""
        return self.write_protect_end(cpu, src, "copy_page_range")

    def write_protect_begin(self, cpu: Cpu, mm: MmStruct, fn: str) -> Op[None]:
        """raw_write_seqcount_begin(&mm->write_protect_seq), in the function ``fn``."""
        yield Step(fn, "write_protect_seq odd", locked=True)
        cpu.count(mm.extra(WRITE_PROTECT_SEQ), 1)

    def write_protect_end(self, cpu: Cpu, mm: MmStruct, fn: str) -> Op[None]:
        """raw_write_seqcount_end(&mm->write_protect_seq)."""
        yield Step(fn, "write_protect_seq even", locked=True)
        cpu.add(mm.extra(WRITE_PROTECT_SEQ), 1)

    def gup_fast_begin(self, cpu: Cpu, mm: MmStruct, foll: Foll) -> Op[int | None]:
        """Refuse while fork copies entries. Linux: lockless_pages_from_mm."""
        yield from super().gup_fast_begin(cpu, mm, foll)
        if Foll.PIN not in foll:
            return 0
        yield Step("lockless_pages_from_mm", "write_protect_seq even ?")
        seq = cpu.read(mm.extra(WRITE_PROTECT_SEQ))
        return None if seq & 1 else seq

    def gup_fast_end(self, cpu: Cpu, mm: MmStruct, foll: Foll, token: int) -> Op[bool]:
        """Drop the pins if fork ran meanwhile."""
        if Foll.PIN not in foll:
            return True
        yield Step("lockless_pages_from_mm", "write_protect_seq same ?")
        return cpu.read(mm.extra(WRITE_PROTECT_SEQ)) == token

    # fs/proc/task_mmu.c -------------------------------------------------------------------

    def clear_refs_begin(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """The variant raises the counter, as fork does."""
        if self.variant == "clear-refs-seq":
            yield from self.write_protect_begin(cpu, mm, "clear_refs_write")

    def clear_refs_end(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """And gives it back."""
        if self.variant == "clear-refs-seq":
            yield from self.write_protect_end(cpu, mm, "clear_refs_write")

    def clear_refs_skips(self, cpu: Cpu, mm: MmStruct, vma: Vma, pte: Pte) -> bool:
        """Not what is writable and may be pinned. Linux: pte_is_pinned(), no seqcount."""
        if not pte.write or not vma.is_cow_mapping() or not cpu.read(mm.has_pinned):
            return False
        return page_maybe_dma_pinned(cpu, self.mech.page_of(pte))

    # reclaim: mm/vmscan.c -----------------------------------------------------------------

    def may_add_to_swap(self, cpu: Cpu, page: Page) -> bool:
        """Not what may be pinned. Linux: shrink_page_list."""
        return not page_maybe_dma_pinned(cpu, page)
