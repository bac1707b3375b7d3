"""mmap_sem until the I/O is done (Torvalds, 2009-03-11).

fork holds mmap_sem for writing as ever. Whoever calls get_user_pages holds it
for reading from before the lookup until the pages are used: "just read-lock
over the _whole_ O_DIRECT read or write. That way you literally protect against
concurrent fork()s." gup-fast stays, under the semaphore. For AIO, registered
memory and pipes the semaphore is given back by whoever ends the I/O.

Holds:   whatever is under I/O when fork comes belongs to the process that
         started it, whoever took the reference, to read or to write, AIO too;
         gup-fast and fork exclude each other; munmap, mprotect and mremap find
         no page under I/O either.
Breaks:  what is submitted after fork: a read gup takes the shared page and the
         device receives the child's bytes (foreign-dma-read), or goes stale
         (stale-dma-read). A reference that is kept stops fork, mmap, munmap and
         mprotect of its process for ever (deadlock): registered memory, a pipe
         that nobody else reads (B. Herrenschmidt, 2009-03-14 05:07).
Costs:   fork waits for I/O (fork-blocked), also to a buffer that MADV_DONTFORK
         keeps from it; so does whoever else takes mmap_sem for writing ("all
         users of O_DIRECT would be _very_ unhappy", 21:28); behind such a
         waiter all page faults and all new I/O of the process wait. gup-fast is
         no longer lockless.
Relies:  down_read() comes before the lookup; mmap_sem may be given back by
         another task than took it.
Source:  L. Torvalds, 2009-03-11 20:33 and 21:28; A. Arcangeli, 20:55 and 21:57,
         on what it takes; document 003. No patch was posted. fork and faults:
         Linux v2.6.29, kernel/fork.c:dup_mmap, mm/memory.c.
Not modelled: who else calls get_user_pages and ends within the call (futexes,
         ptrace).
Variants: direct-io-call, 21:28: "just hold the sem over the actual call to the
         filesystem (ie just over the ->direct_IO() call)", which he takes for
         the I/O, "since we won't be returning until it is done". AIO returns;
         whoever else holds pages takes no part.

Race: vmsplice-child-leak uemu1:10000022222 -> deadlock

    #   fork              cpu    child                note                         state
    --  ----------------  -----  -------------------  ---------------------------  ----------
    0                     store                       b'S' -> parent               0: 1/1 1/1
    1   dup_mmap                                      queue: mmap_sem for writing  0: 1/1 1/1
    2   dup_mmap                                      mmap_sem for writing         0: 1/1 1/1
    3   copy_one_pte                                  share read-only              0: 2/2 1/1
    4   copy_one_pte                                  share read-only              0: 2/2 2/2
    5   flush_tlb_others                              IPI to cpu                   0: 2/2 2/2
    6                            get_user_pages       mmap_sem for reading         0: 2/2 2/2
    7                            get_user_pages_fast  interrupts off               0: 2/2 2/2
    8                            gup_pte_range        present ?                    0: 2/2 2/2
    9                            get_page             hold pfn 0                   0: 3/2 2/2
    10                           do_munmap            queue: mmap_sem for writing  0: 3/2 2/2

State: the frame the parent maps, then count/mapcount of pfn 0, 1, ...
"""

from __future__ import annotations

from typing import ClassVar

from uemu.mm.hooks import GupCall
from uemu.mm.lock_hooks import IoRequest
from uemu.mm.locks import FairRwSem, RwSem
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op


class Torvalds2009MmapSem(Linux2_6_29):
    """2.6.29, and get_user_pages with mmap_sem held until the pages are used."""

    name = "torvalds-2009-mmap-sem"
    summary = "whoever uses get_user_pages holds mmap_sem for reading until the I/O is done"
    variants: ClassVar = {
        "direct-io-call": "only O_DIRECT does, until its call of ->direct_IO() returns"
    }
    makes_wait = True
    not_for_programs = "fork waits for I/O, and a program that runs cannot be made to"
    mmap_lock_type: ClassVar[type[RwSem]] = FairRwSem

    def gup_kind(self, api: str, *, write: bool) -> GupCall:
        """A plain get, as ever; the caller has mmap_sem already."""
        call = super().gup_kind(api, write=write)
        return GupCall(call.foll, call.fast, locked=self.takes_part(api))

    def takes_part(self, api: str) -> bool:
        """Whether the caller of get_user_pages holds mmap_sem over its I/O."""
        return self.variant != "direct-io-call" or api == "o_direct"

    def io_begin(self, cpu: Cpu, request: IoRequest) -> Op[None]:
        """down_read(), before get_user_pages or ->direct_IO()."""
        if self.takes_part(request.api):
            lock = request.mm.mmap_lock
            fn = "direct_IO" if request.api == "o_direct" else "get_user_pages"
            yield lock.read_step(fn, "mmap_sem for reading")
            lock.down_read(cpu)

    def io_return(self, cpu: Cpu, request: IoRequest) -> None:
        """->direct_IO() returns -EIOCBQUEUED: up_read(), in the variant."""
        if self.variant == "direct-io-call" and self.takes_part(request.api):
            request.mm.mmap_lock.up_read(cpu)

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        """The I/O is done, and the pages are given back: up_read(), by whoever ended it."""
        if self.takes_part(request.api) and not (self.variant and request.aio):
            request.mm.mmap_lock.up_read(cpu)
