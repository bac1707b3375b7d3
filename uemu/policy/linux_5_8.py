"""Linux 5.8: 4.19, and get_user_pages breaks COW even to read.

Whoever takes a reference in a COW mapping, get or pin, read or write, does a
write fault first unless the entry is writable, so that he holds a page of his
own. What a write fault and fork decide is as before: do_wp_page asks the
mapcount and fork shares, what is pinned too.

Holds:   a reference taken after fork is to a page that nobody else maps, so
         that no device receives another's bytes through it; a child keeps no
         reference to its parent's page (CVE-2020-29374).
Breaks:  the reference first and then fork, as in 2.6.29: a device write is
         lost when its owner stores (lost-dma-write) and seen by the child
         (dma-write-seen-by-other), a device read receives the child's bytes
         (foreign-dma-read), pins as well as gets.
Costs:   a COW copy for each shared page that is only to be read; a read of
         untouched memory allocates; gup-fast goes slow on read-only entries. A
         store to a transparent huge page that is shared copies one page of it
         (up to v5.7 all): the entry is split.
Relies:  nobody shares the page after it was taken: fork must not come second.
Source:  Linux v5.8, mm/gup.c:should_force_cow_break, can_follow_write_pte,
         internal_get_user_pages_fast. Since Linux kernel commits 17839856fd58
         ("gup: document and work around "COW can break either way" issue")
         and 3faa52c03f44 ("mm/gup: track FOLL_PIN pages") (in v5.7),
         3917c80280c9 ("thp: change CoW semantics for anon-THP").
Not modelled: FOLL_FAST_ONLY, which takes read-only entries still;
         userfaultfd, which the forced fault surprised.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import Foll
from uemu.mm.hooks import APIS, GupCall, NeedFault
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.policy.linux_4_19 import Linux4_19
from uemu.step import Cpu, Op

PINNING = ("io_uring", "rdma", "vfio")
"""The APIs that use pin_user_pages() by then; O_DIRECT and vmsplice get."""


class Linux5_8(Linux4_19):
    """W and F of 4.19; G breaks COW first, whatever it is for.

    Attributes:
        forces_cow_break: whether a read gup of a COW mapping is a write gup.
    """

    name = "linux-5.8"
    year = 2020
    summary = "as linux-4.19, and gup breaks COW even to read; a pin counts 1024"
    lock_name = "mmap_lock"
    fault_fn = "do_user_addr_fault"
    try_grab_fn = "try_grab_compound_head"
    thp_cow_copies_all = False
    forces_cow_break: ClassVar[bool] = True

    def gup_kind(self, api: str, *, write: bool) -> GupCall:
        """FOLL_PIN | FOLL_LONGTERM for registrations, FOLL_GET for transfers.

        RDMA goes fast by then: drivers/infiniband/core/umem.c:ib_umem_get.
        """
        if api == "process_vm":
            # pin_user_pages_remote() since v5.6, for the length of the copy.
            return GupCall(Foll.PIN | (Foll.WRITE if write else Foll(0)), APIS[api].fast)
        if api not in PINNING:
            return super().gup_kind(api, write=write)
        foll = Foll.PIN | Foll.LONGTERM
        if write or APIS[api].always_write:
            foll |= Foll.WRITE
        return GupCall(foll, APIS[api].fast or api == "rdma")

    def can_follow_write_pte(self, pte: Pte, foll: Foll) -> bool:
        """A forced break may write what is not writable as FOLL_FORCE may, after a COW cycle."""
        forced = Foll.FORCE in foll or self.forces_cow_break
        return pte.write or (forced and Foll.COW in foll and pte.dirty)

    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        """Look it up as if to write. Linux: should_force_cow_break(), in __get_user_pages."""
        if self.forces_cow_break and vma.is_cow_mapping():
            foll |= Foll.WRITE
        return (yield from super().follow_page_pte(cpu, mm, vma, base, foll))

    def hugetlb_foll(self, vma: Vma, foll: Foll) -> Foll:
        """As if to write, too. Linux: should_force_cow_break(), in __get_user_pages."""
        return foll | Foll.WRITE if self.forces_cow_break and vma.is_cow_mapping() else foll

    def gup_huge_pmd(
        self, cpu: Cpu, mm: MmStruct, base: int, pmd: Pte, nr: int, foll: Foll
    ) -> Op[list[Page] | None]:
        """Take a writable entry only."""
        if self.forces_cow_break and not pmd.write:
            return None
        return (yield from super().gup_huge_pmd(cpu, mm, base, pmd, nr, foll))

    def follow_trans_huge_pmd(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault | None]:
        """The same of a huge page."""
        if self.forces_cow_break and vma.is_cow_mapping():
            foll |= Foll.WRITE
        return (yield from super().follow_trans_huge_pmd(cpu, mm, vma, base, foll))

    def gup_fast_pte(self, cpu: Cpu, mm: MmStruct, base: int, foll: Foll) -> Op[Page | None]:
        """Take a writable entry only. Linux: internal_get_user_pages_fast."""
        if self.forces_cow_break:
            foll |= Foll.WRITE
        return (yield from super().gup_fast_pte(cpu, mm, base, foll))
