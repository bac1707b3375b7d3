"""Directed COW with one reader (Piggin, 2009-03-14 05:20): who reads has the direction.

"You could do something crazy like allowing only one get_user_pages read on a wp
page, and recording which direction to send it if it does get COWed." Directed
COW, where a store leaves the page to its first owner, cannot be right when
parent and child both hold it to read it. Here the first process whose read gup
takes a write-protected page is recorded in it; of any other a read gup breaks
COW first, as a write gup does. COW is broken toward the recorded process, and
where none is toward the first owner.

Holds:   a device read that its holder began after fork stays with the holder's
         page, whoever stores; so does a pipe filled after fork, also when the
         holder has unmapped the page. Device writes and reads begun before fork
         do, as long as nobody else reads the page that fork shares.
Breaks:  fork shares what a device is writing, so the child sees it until
         somebody stores (dma-write-seen-by-other). A reference from before
         fork was no read of a write-protected page, so nobody recorded it: if
         the child's read gup comes next, the direction is the child's. Then the
         parent's store loses the device's write (lost-dma-write), or its device
         reads what the child stores (foreign-dma-read).
Costs:   as directed COW; a read gup-fast of a write-protected page goes slow; a
         copy where a page is read by two processes, or stored to by one and was
         read by another, be that over or not.
Relies:  who is recorded, who maps the page, and the copy that moves him are
         decided under the page table lock of his own mm.
Source:  document 003, N. Piggin, 2009-03-14 05:20, the sentence above, in reply
         to L. Torvalds, 2009-03-11 19:01; there is no patch, and he finds it "far
         uglier in the core code and more complex than what I posted". That one
         read is one process's reads, that the record stays as long as the page,
         since put_page() cannot tell whose reference it drops, and that a store
         of any other process gets the copy though nobody else maps the page, is
         the plainest reading.
         Linux v2.6.29, as in torvalds-2009-directed-cow, for the rest.
Not modelled: as in torvalds-2009-directed-cow. The zero page is nobody's.
"""

from __future__ import annotations

from uemu.abi import Foll
from uemu.mm.hooks import NeedFault
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.policy.torvalds_2009_directed_cow import Torvalds2009DirectedCow
from uemu.step import Cpu, Op

READER = "reader"
"""Whose read gup has taken the page: the number of his mm, plus 1; 0: nobody's."""


class Piggin2009OneReader(Torvalds2009DirectedCow):
    """W breaks COW toward the reader; G records one."""

    name = "piggin-2009-one-reader"
    summary = "one process's read gup may take a shared page, and a write fault leaves it to him"

    # write fault ----------------------------------------------------------------------

    def may_keep(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        """Not if another process is recorded, whether he maps the page still or not."""
        return cpu.read(page.word(READER)) in (0, mm.id + 1)

    def is_owner(
        self, cpu: Cpu, mm: MmStruct, page: Page, chain: list[tuple[MmStruct, int]]
    ) -> bool:
        """The recorded process, or else the first owner."""
        reader = cpu.read(page.word(READER))
        return reader == mm.id + 1 if reader else self.is_first_owner(mm, chain)

    def maps(self, cpu: Cpu, mm: MmStruct, base: int, page: Page) -> Pte | None:
        """Leave who became the reader meanwhile where he is."""
        if cpu.read(page.word(READER)) == mm.id + 1:
            return None
        return super().maps(cpu, mm, base, page)

    # get_user_pages -------------------------------------------------------------------------

    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        """Record the first reader of a write-protected page; another one breaks COW."""
        found = yield from super().follow_page_pte(cpu, mm, vma, base, foll)
        if not isinstance(found, Page) or not found.anon:
            return found
        # Still in the step that looked at the entry, and took the reference.
        pte = cpu.read(mm.pte(base))
        if not isinstance(pte, Pte) or pte.write:
            return found
        if not self.may_read(cpu, mm, found):
            self.mech.put_page(cpu, found)
            return NeedFault.WRITE
        cpu.write(found.word(READER), mm.id + 1)
        return found

    def may_read(self, cpu: Cpu, mm: MmStruct, page: Page) -> bool:
        """Whether no other process is recorded as the reader of the page."""
        return cpu.read(page.word(READER)) in (0, mm.id + 1)

    def gup_fast_look(self, cpu: Cpu, mm: MmStruct, base: int, foll: Foll) -> Op[Pte | None]:
        """Who is to be recorded takes the page table lock."""
        pte = yield from super().gup_fast_look(cpu, mm, base, foll)
        return pte if pte is not None and pte.write else None
