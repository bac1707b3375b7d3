"""A write fault that asks page_count on top of the mapcount, as two proposals of 2009 would."""

from __future__ import annotations

from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page, page_count, trylock_page, unlock_page
from uemu.mm.pte import Pte
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op, Step


class CountedReuse(Linux2_6_29):
    """W: reuse what one PTE maps and nobody else refers to."""

    def reuse_anon_page(
        self, cpu: Cpu, mm: MmStruct, base: int, pte: Pte, page: Page
    ) -> Op[bool | None]:
        """Reuse if the entry's is the only reference, else copy. Linux: mm/memory.c:do_wp_page.

        gup-fast, which takes no lock, may get in between any two of the three
        steps; nobody else can: they hold the page table lock.
        """
        waits = not trylock_page(cpu, page)
        if waits and not (yield from self.lock_page_and_look_again(cpu, mm, base, pte, page)):
            return None
        if not self.reuse_swap_page(cpu, page):
            unlock_page(cpu, page)
            return False
        mm.page_table_lock.acquire(cpu)
        yield Step("do_wp_page", "page_count == 1 ?", locked=True)
        alone = page_count(cpu, page) == 1
        unlock_page(cpu, page)
        if alone:
            yield Step("do_wp_page", "make it writable")
        return alone
