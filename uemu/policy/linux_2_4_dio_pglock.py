"""Linux 2.4 with direct I/O that keeps PG_locked on each page until it is over.

"the 2.4 bug, fixed in 2.4 with a simpler PG_lock local to direct-io, that
prevented the VM to unmap ptes on the page as long as I/O was in progress"
(A. Arcangeli, 2009-03-16 18:28): reclaim skips what is locked. So does a write
fault: do_wp_page() reuses a page only if it gets the lock and nobody else
refers to it, so that the storer leaves a page under I/O for two reasons.
fork shares as ever, and there is no get_user_pages_fast().

Holds:   a device never receives another process's bytes: whoever stores to a
         page that a device holds leaves it. Reclaim costs no direct I/O its page;
         other references, which lock nothing, it does not see.
Breaks:  as 2.6.7: a device write in flight over fork is lost by the process
         that started it when it stores (lost-dma-write), even when the child
         is gone already, and seen by a child that stores nothing
         (dma-write-seen-by-other). The lock does not help against fork, who
         does not ask for it.
Costs:   two I/Os over one page do not run at the same time, be they both reads
         from memory; one locked instruction per page.
Relies:  the lock belongs to nobody: end_io() gives it back from an interrupt.
Source:  document 003, A. Arcangeli, 2009-03-16 18:28, the sentence above, and
         PG_lock "was released by the ->end_io async handler from irq IIRC".
         The patch is not in the documents: that a second I/O over a locked page
         sleeps in lock_page() is the plainest reading. In the kernel of that time
         lock_kiovec(), of mm/memory.c, is there and drivers/char/raw.c does not
         call it (2.4.2).
         Linux v2.4, mm/memory.c:copy_page_range, do_wp_page, get_user_pages,
         map_user_kiobuf; mm/swapfile.c:can_share_swap_page.
Not modelled: swap_out(), which walks page tables instead of an rmap, and
         page->buffers, which can_share_swap_page() knows. That pages are locked
         one after the other, and all let go again when one cannot be had: here it
         is one step, and nobody waits who has one. The rest as in 2.6.7; that
         MADV_DONTFORK, vmsplice, RDMA and VFIO came later is not asked, they take
         no lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from uemu.mm.lock_hooks import IoRequest
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, unlock_page
from uemu.policy.linux_2_6_7 import Linux2_6_7
from uemu.step import Cpu, Op, Step


class Linux2_4DioPglock(Linux2_6_7):
    """W, F and G as in 2.6.7; L: direct I/O has the pages locked."""

    name = "linux-2.4-dio-pglock"
    year = 2001
    summary = "direct I/O holds PG_locked on its pages; a write fault asks for it and page_count"
    variants: ClassVar = {}
    has_aio = False
    pagevec_size = 0
    makes_wait = True
    not_for_programs = "direct I/O waits for other direct I/O over the same page"

    def may_unmap(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        """Whoever else refers to the page; one that is locked reclaim did not get."""
        return True

    def io_pages_held(self, cpu: Cpu, request: IoRequest, pages: Sequence[Page]) -> Op[None]:
        """Lock what direct I/O holds. Linux: lock_page(), as of lock_kiovec()."""
        if request.api != "o_direct":
            return
        mine = list(dict.fromkeys(pages))
        pfns = ", ".join(str(page.pfn) for page in mine[:4])
        yield Step("lock_page", f"pfn {pfns}", lambda: not any(p.locked.peek() for p in mine), True)
        for page in mine:
            cpu.rmw(page.locked, lambda _: True)

    def io_pages_done(self, cpu: Cpu, request: IoRequest, pages: Sequence[Page]) -> None:
        """The device is through. Linux: ->end_io()."""
        if request.api == "o_direct":
            for page in dict.fromkeys(pages):
                unlock_page(cpu, page)
