"""A write fault that asks page_count on top of the mapcount, as two proposals of 2009 would."""

from __future__ import annotations

from uemu.mm.fault import wp_page_copy, wp_page_reuse
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import page_count, trylock_page, unlock_page
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op, Step


class CountedReuse(Linux2_6_29):
    """W: reuse what one PTE maps and nobody else refers to."""

    def do_wp_page(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, *, unshare: bool = False
    ) -> Op[None]:
        """Reuse if the entry's is the only reference, else copy. Linux: mm/memory.c:do_wp_page.

        gup-fast, which takes no lock, may get in between any two of the three
        steps; nobody else can: they hold the page table lock.
        """
        lock = mm.page_table_lock
        yield lock.step("do_wp_page", "mapcount == 1 ?")
        lock.enter(cpu)
        pte = cpu.read(mm.pte(base))
        if not isinstance(pte, Pte) or pte.write:
            return
        page = self.mech.page_of(pte)
        if page.reserved:
            yield from wp_page_copy(self.mech, cpu, mm, vma, base, pte, page)
            return
        waits = not trylock_page(cpu, page)
        if waits and not (yield from self.lock_page_and_look_again(cpu, mm, base, pte, page)):
            return
        if not self.reuse_swap_page(cpu, page):
            unlock_page(cpu, page)
            yield from wp_page_copy(self.mech, cpu, mm, vma, base, pte, page)
            return
        lock.acquire(cpu)
        yield Step("do_wp_page", "page_count == 1 ?", locked=True)
        alone = page_count(cpu, page) == 1
        unlock_page(cpu, page)
        if not alone:
            lock.release(cpu)
            yield from wp_page_copy(self.mech, cpu, mm, vma, base, pte, page)
            return
        yield Step("do_wp_page", "make it writable")
        wp_page_reuse(self.mech, cpu, mm, vma, base, pte)
        lock.release(cpu)
