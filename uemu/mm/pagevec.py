"""LRU pagevecs: where a fresh page waits on its CPU for the LRU, with a reference more.

To take zone->lru_lock once for many pages, lru_cache_add() puts a page into a
pagevec of the CPU it was mapped on. The pagevec has a reference to it, so that
page_count is 2 where one PTE maps the page and nobody else cares, until the
pagevec is drained: because it is full, by lru_add_drain() on that CPU, or by
lru_add_drain_all() on every CPU. Reclaim and munmap do the one, migration and
KSM the other. Who takes page_count for the number of users
is wrong that long: A. Arcangeli, 2009-03-16 13:56, of "false positives
triggered by the pagevec temporary pins"; Linux kernel commit d4c470970d45 ("mm:
optimize do_wp_page() for fresh pages in local LRU pagevecs").

A switch of the mechanism, off unless asked for: then a page is on the LRU at
once, and this file does nothing.

Not modelled: that a drain drops its references one by one; the other pagevecs
(activate, deactivate, rotate), which refer to pages that are on the LRU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from uemu.mm.page import Page
from uemu.step import Cell, Cpu, Op, Step

if TYPE_CHECKING:
    from uemu.mm.mechanism import Mechanism
    from uemu.mm.page_alloc import Pages

PG_LRU = "PG_lru"


class LruPagevecs:
    """The pagevec of each CPU. Linux: lru_add_pvecs, lru_pvecs.lru_add (v5.8).

    Args:
        size: how many pages one has room for. Linux: PAGEVEC_SIZE.
    """

    def __init__(self, mech: Mechanism, size: int) -> None:
        self._mech = mech
        self._size = size
        self._pvecs: dict[str, tuple[Cpu, Cell[tuple[Page, ...]]]] = {}

    def _pvec(self, cpu: Cpu) -> Cell[tuple[Page, ...]]:
        if cpu.name not in self._pvecs:
            self._pvecs[cpu.name] = cpu, Cell(("pagevec", cpu.name), ())
        return self._pvecs[cpu.name][1]

    def lru_cache_add(self, cpu: Cpu, page: Page) -> None:
        """Let a page wait, and drain what is full now. Atomic: call inside a step."""
        pvec = self._pvec(cpu)
        self._mech.get_page(cpu, page)
        self._mech.note_in_hand(cpu, page, -1)
        cpu.put(pvec, (*cpu.read(pvec), page))
        if len(cpu.read(pvec)) >= self._size:
            self._drain(cpu, pvec)

    def lru_add_drain(self, cpu: Cpu) -> None:
        """Move what waits on this CPU to the LRU. Atomic: call inside a step."""
        self._drain(cpu, self._pvec(cpu))

    def lru_add_drain_all(self, cpu: Cpu) -> Op[None]:
        """Have each CPU do that: a work item, which waits while it has interrupts off."""
        for target, pvec in list(self._pvecs.values()):
            yield Step("lru_add_drain_all", f"on {target.name}", _irqs_on(target))
            cpu.read(target.irqs_off)
            self._drain(cpu, pvec)

    def _drain(self, cpu: Cpu, pvec: Cell[tuple[Page, ...]]) -> None:
        """Linux: mm/swap.c:__pagevec_lru_add."""
        pages = cpu.read(pvec)
        cpu.put(pvec, ())
        for page in pages:
            cpu.rmw(page.flag(PG_LRU), lambda _: True)
            self._mech.note_in_hand(cpu, page, 1)
            self._mech.put_page(cpu, page)

    def refs(self) -> Counter[int]:
        """What pagevecs hold now: pfn to references."""
        return Counter(page.pfn for _, pvec in self._pvecs.values() for page in pvec.peek())


def lru_cache_add(mech: Pages, cpu: Cpu, page: Page) -> None:
    """A page that is fresh in memory goes to the LRU. Atomic: call inside a step."""
    if mech.pagevecs is not None:
        mech.pagevecs.lru_cache_add(cpu, page)


def lru_add_drain(mech: Mechanism, cpu: Cpu) -> None:
    """Let nothing wait on this CPU. Atomic: call inside a step."""
    if mech.pagevecs is not None:
        mech.pagevecs.lru_add_drain(cpu)


def lru_add_drain_all(mech: Mechanism, cpu: Cpu) -> Op[None]:
    """Let nothing wait on any CPU."""
    if mech.pagevecs is not None:
        yield from mech.pagevecs.lru_add_drain_all(cpu)


def is_lru(mech: Mechanism, cpu: Cpu, page: Page) -> bool:
    """Whether a page waits nowhere. Linux: PageLRU(). Atomic: call inside a step."""
    return mech.pagevecs is None or page.reserved or cpu.read(page.flag(PG_LRU))


def _irqs_on(cpu: Cpu) -> Callable[[], bool]:
    return lambda: not cpu.irqs_off.peek()
