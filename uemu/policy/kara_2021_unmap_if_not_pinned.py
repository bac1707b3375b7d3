"""Unmap if not pinned (Kara, 2021-09): reclaim looks for pins where gup-fast cannot add one.

J. Kara on the proposal to refuse locked pages: it does not guarantee that
reclaim and a pin exclude each other. Where a check can be free of races is
inside try_to_unmap(): the rmap walk raises the seqcount of each mm, looks for
pins and unmaps; gup-fast with FOLL_PIN that saw the counter odd, or moved,
goes slow. "By the time we leave the seqcount critical section, the page will
be unmapped". What fork and gup do is 5.11.

Holds:   as 5.11.
Breaks:  as 5.11. Since reclaim holds no mmap_lock the counter has several
         writers: two that overlap make it even while both are at work, and
         gup-fast takes that for nobody.
Costs:   as 5.11; reclaim counts twice for each mm that maps a page, and every
         gup-fast with FOLL_PIN in one of them meanwhile goes slow.
Relies:  an odd counter means that somebody is at work: one writer at a time.
Source:  document 002, J. Kara's answer to J. Hubbard's mail of 2021-09-29
         18:57:33 (it has no date of its own there): "we could implement
         unmap_if_not_pinned semantics". That each increment is whole, and that
         no writer waits for another, is the reading of "bump up the seqcounts";
         the variants are the two others. Linux v5.11, as in linux-5.11, and
         include/linux/seqlock.h:raw_write_seqcount_begin.
Not modelled: what linux-5.11 does not model.
Variants: plain, sequence++ as raw_write_seqcount_begin() has it, a load and a
         store: of two increments one can be lost, and the counter then stays
         odd for ever, so that nobody pins fast any more. serialised, writers
         wait for each other (a lock beside the counter): fork allocates pages
         inside its section, so that reclaim from there would wait for itself.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, page_maybe_dma_pinned
from uemu.policy.linux_5_11 import WRITE_PROTECT_SEQ, Linux5_11
from uemu.step import Cpu, Op, Step

WRITE_PROTECT_LOCK = "write_protect_lock"


class Kara2021UnmapIfNotPinned(Linux5_11):
    """5.11, whose write_protect_seq has several writers."""

    name = "kara-2021-unmap-if-not-pinned"
    summary = "as linux-5.11, and reclaim looks for pins inside the rmap walk, seqcount raised"
    variants: ClassVar = {
        "plain": "an increment of write_protect_seq is a load and a store",
        "serialised": "who raises write_protect_seq waits for who has raised it",
    }

    def write_protect_begin(self, cpu: Cpu, mm: MmStruct, fn: str) -> Op[None]:
        """Raise the counter, for fork or for the rmap walk."""
        if self.variant == "serialised":
            yield from mm.sem(WRITE_PROTECT_LOCK).write(cpu, fn, WRITE_PROTECT_LOCK)
        if self.variant == "plain":
            yield from self.increment(cpu, mm, fn)
        else:
            yield from super().write_protect_begin(cpu, mm, fn)

    def write_protect_end(self, cpu: Cpu, mm: MmStruct, fn: str) -> Op[None]:
        """Raise it again."""
        if self.variant == "plain":
            yield from self.increment(cpu, mm, fn)
        else:
            yield from super().write_protect_end(cpu, mm, fn)
        if self.variant == "serialised":
            mm.sem(WRITE_PROTECT_LOCK).up_write(cpu)

    # mm/rmap.c: the walk ------------------------------------------------------------------

    def unmap_begin(self, cpu: Cpu, mm: MmStruct, page: Page) -> Op[None]:
        """Raise the mm's counter before its entries are looked at."""
        yield from self.write_protect_begin(cpu, mm, "try_to_unmap")

    def unmap_end(self, cpu: Cpu, mm: MmStruct, page: Page) -> Op[None]:
        """And give it back."""
        yield from self.write_protect_end(cpu, mm, "try_to_unmap")

    def may_add_to_swap(self, cpu: Cpu, page: Page) -> bool:
        """The check is inside the walk."""
        return True

    def may_unmap(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        """Not what may be pinned."""
        return not page_maybe_dma_pinned(cpu, page)

    def increment(self, cpu: Cpu, mm: MmStruct, fn: str) -> Op[None]:
        """s->sequence++, as the compiler has it."""
        yield Step(fn, "load write_protect_seq")
        seq = cpu.read(mm.extra(WRITE_PROTECT_SEQ))
        yield Step(fn, f"write_protect_seq = {seq + 1}")
        cpu.write(mm.extra(WRITE_PROTECT_SEQ), seq + 1)
