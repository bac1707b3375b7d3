"""mm_pinned_sem, second form: fork waits for direct I/O, AIO too (KOSAKI, 2009-03-22).

direct_io_worker() takes mm_pinned_sem for reading, and dio_complete() gives it
back, in whatever context the last request ends: a lock of the I/O, not of a
task. fork takes it for writing. For what is submitted after fork, gup-fast
leaves every read-only entry to its slow path, and that breaks COW at once, for
a device that only reads, too ("early decow").

Holds:   O_DIRECT over fork, before it or after it, to read or to write, AIO or
         not. gup-fast and fork exclude each other, for O_DIRECT.
Breaks:  who takes references otherwise takes no semaphore: a pipe that vmsplice
         filled before fork receives the child's bytes (secret-leak), and
         registered memory is lost over fork (lost-dma-write). Plain
         get_user_pages() breaks no COW either: VFIO reads what the parent has
         left (stale-dma-read). Nor does follow_hugetlb_page(), which is called
         before the flag is looked at; but hugetlb_cow() asks page_count.
Costs:   fork waits for the slowest transfer in flight, and new direct I/O waits
         for that fork (fork-blocked); a forked process that writes memory out
         with O_DIRECT copies each page that it shares (L. Torvalds, 2009-03-23
         16:46); memory without VM_WRITE never goes the fast way; a cache line
         per mm that every direct I/O writes twice.
Relies:  down_read() comes before the lookup, and before mmap_sem, which gup
         takes; fork takes the two in the same order. The semaphore outlives the
         process: each I/O holds mm_count.
Source:  KOSAKI M., 2009-03-22 12:23, document 003, the whole patch: arch/x86/
         mm/gup.c:gup_pte_range, get_user_pages_fast; fs/direct-io.c:
         direct_io_worker, dio_complete; kernel/fork.c:dup_mmap; mm/memory.c:
         __get_user_pages.
Not modelled: down_write_killable(), which is on the mail's list of things to
         do; futexes, which come by gup-fast, too; decow is never taken back
         inside one call of __get_user_pages, so a shared mapping that follows a
         COW mapping there is looked up as for a write. As
         posted a read gup of memory nobody touched asks for FOLL_ANON and
         FOLL_WRITE, which is a BUG() in follow_page: here it maps a fresh page.

Race: vmsplice-then-fork uemu1:00001111111122222222333300 -> secret-leak

    #   io          fork              cpu               child       note             state
    --  ----------  ----------------  ----------------  ----------  ---------------  --------------
    0   get_user_                                                   interrupts off   0: 1/1 1/1
        pages_fast
    1   gup_pte_                                                    writable ?       0: 1/1 1/1
        range
    2   get_page                                                    hold pfn 0       0: 2/1 1/1
    3   signal                                                      submitted        0: 2/1 1/1
    4               wait_for                                        submitted        0: 2/1 1/1
    5               dup_mmap                                        queue: mm_       0: 2/1 1/1
                                                                    pinned_sem for
                                                                    writing
    6               dup_mmap                                        mm_pinned_sem    0: 2/1 1/1
                                                                    for writing
    7               dup_mmap                                        mmap_sem for     0: 2/1 1/1
                                                                    writing
    8               copy_one_pte                                    share read-only  0: 3/2 1/1
    9               copy_one_pte                                    share read-only  0: 3/2 2/2
    10              flush_tlb_others                                IPI to io        0: 3/2 2/2
    11              flush_tlb_others                                IPI to cpu       0: 3/2 2/2
    12                                store                         b'P' -> parent   0: 3/2 2/2
    13                                do_page_fault                 mmap_sem         0: 3/2 2/2
    14                                do_wp_page                    mapcount == 1 ?  0: 4/2 2/2
    15                                cow_user_page                 copy the frame   0: 4/2 2/2 1/0
    16                                do_wp_page                    pte_same ?       -: 4/2 2/2 1/0
    17                                flush_tlb_others              IPI to io        -: 4/2 2/2 1/0
    18                                flush_tlb_others              IPI to fork      2: 2/1 2/2 1/1
    19                                store                         b'P' -> parent   2: 2/1 2/2 1/1
    20                                                  store       b'C' -> child    2: 2/1 2/2 1/1
    21                                                  do_page_    mmap_sem         2: 2/1 2/2 1/1
                                                        fault
    22                                                  do_wp_page  mapcount == 1 ?  2: 2/1 2/2 1/1
    23                                                  store       b'C' -> child    2: 2/1 2/2 1/1
    24  dma                                                         device <- pfn 0  2: 2/1 2/2 1/1
    25  put_page                                                    release pfn 0    2: 1/1 2/2 1/1

State: the frame the parent maps, then count/mapcount of pfn 0, 1, ...
"""

from __future__ import annotations

from uemu.abi import Foll
from uemu.mm.hooks import GupCall
from uemu.mm.lock_hooks import IoRequest
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op


class Kosaki2009PinnedSem(Linux2_6_29):
    """2.6.29 with mm->mm_pinned_sem, and early decow."""

    name = "kosaki-2009-pinned-sem"
    summary = "fork waits for direct I/O to complete; gup-fast's slow path breaks COW to read, too"
    makes_wait = True
    not_for_programs = "fork waits for direct I/O, and a program that runs cannot be made to"

    # fs/direct-io.c ------------------------------------------------------------------------

    def io_begin(self, cpu: Cpu, request: IoRequest) -> Op[None]:
        """down_read_non_owner() in direct_io_worker(), before it looks pages up."""
        if request.api == "o_direct":
            sem = request.mm.sem("mm_pinned_sem")
            yield sem.read_step("direct_io_worker", "mm_pinned_sem for reading")
            sem.down_read(cpu)

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        """up_read_non_owner() in dio_complete(): of read(2), of AIO, of what was refused."""
        if request.api == "o_direct":
            request.mm.sem("mm_pinned_sem").up_read(cpu)

    # kernel/fork.c:dup_mmap ------------------------------------------------------------------

    def fork_begin(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """down_write(), before that of mmap_sem; the child's own is free (mm_init)."""
        yield from mm.sem("mm_pinned_sem").write(cpu, "dup_mmap", "mm_pinned_sem for writing")

    def fork_end(self, cpu: Cpu, mm: MmStruct) -> None:
        """up_write(), after that of mmap_sem."""
        mm.sem("mm_pinned_sem").up_write(cpu)

    # arch/x86/mm/gup.c, mm/memory.c:__get_user_pages -----------------------------------------

    def gup_kind(self, api: str, *, write: bool) -> GupCall:
        """get_user_pages_fast() passes GUP_FLAGS_PINNING_PAGE on to its slow path."""
        call = super().gup_kind(api, write=write)
        return GupCall(call.foll | Foll.PINNING_PAGE, fast=True) if call.fast else call

    def gup_fast_pte(self, cpu: Cpu, mm: MmStruct, base: int, foll: Foll) -> Op[Page | None]:
        """_PAGE_RW is in the mask, whatever is asked for. Linux: gup_pte_range, patched."""
        return super().gup_fast_pte(cpu, mm, base, foll | Foll.WRITE)

    def gup_huge_pmd(
        self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte, nr: int, foll: Foll
    ) -> Op[list[Page] | None]:
        """The same; but follow_hugetlb_page() comes before decow, and takes what is shared."""
        return super().gup_huge_pmd(cpu, mm, base, pmd, nr, foll | Foll.WRITE)

    def should_force_cow_break(self, vma: Vma, foll: Foll) -> bool:
        """decow = PINNING_PAGE and is_cow_mapping()."""
        return Foll.PINNING_PAGE in foll and vma.is_cow_mapping()
