"""The swap device and its cache. Linux: mm/swapfile.c, mm/swap_state.c.

A slot of swap is named by page table entries (`SwapEntry`), and may have a
copy in memory: the page that is in the swap cache for it. That page has a
reference of the cache's, and whoever faults finds it there instead of reading
the slot, so a frame that was unmapped is mapped again as long as it is cached.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from uemu.abi import PAGE_SIZE
from uemu.errors import InvariantError
from uemu.mm.page import Page, page_mapcount
from uemu.mm.pte import SwapEntry
from uemu.step import Cell, Cpu

if TYPE_CHECKING:
    from uemu.mm.mechanism import Mechanism


SWAP = -1
"""Instead of a pfn: the bytes are in swap alone."""


class SwapSlot:
    """One page of swap.

    Attributes:
        number: what a `SwapEntry` names.
        count: the PTEs that name it: swap_map without the cache's own share.
        cached: the page that is its copy in memory, or None.
        data: what was written to it; None: nothing yet.
    """

    __slots__ = ("cached", "count", "data", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.count: Cell[int] = Cell(("swap_map", number), 0)
        self.cached: Cell[Page | None] = Cell(("swap_cache", number), None)
        self.data: Cell[bytes | None] = Cell(("swap_slot", number), None)

    def __repr__(self) -> str:
        return f"<swap {self.number} {self.count.peek()} {self.cached.peek()}>"


@dataclass(slots=True)
class SwapDevice:
    """Slots by number, of which none is handed out twice."""

    slots: dict[int, SwapSlot] = field(default_factory=dict)
    _next: int = 0

    def alloc(self) -> SwapSlot:
        """Take an empty slot. Linux: get_swap_page()."""
        slot = self.slots[self._next] = SwapSlot(self._next)
        self._next += 1
        return slot

    def of(self, entry: SwapEntry) -> SwapSlot:
        """The slot that an entry names."""
        return self.slots[entry.entry]

    def free(self, slot: SwapSlot) -> None:
        """Give a slot back that nobody names and that has no copy."""
        del self.slots[slot.number]


def show_swapped(mech: Mechanism, entry: SwapEntry) -> tuple[int, bytes]:
    """What who faults on an entry would find: a frame and its bytes, or those of the slot.

    The pfn is `SWAP` where no frame has them. Nobody does it: it is how one finds out.
    """
    slot = mech.swap.of(entry)
    page = slot.cached.peek()
    if page is not None:
        return page.pfn, mech.frames.read(page.pfn, 0, PAGE_SIZE)
    return SWAP, slot.data.peek() or b""


def add_to_swap_cache(mech: Mechanism, cpu: Cpu, page: Page, slot: SwapSlot) -> None:
    """Make a page the copy of a slot; the cache takes a reference. Atomic: inside a step."""
    mech.get_page(cpu, page)
    mech.note_in_hand(cpu, page, -1)
    cpu.write(slot.cached, page)
    cpu.write(page.swap, slot)


def delete_from_swap_cache(mech: Mechanism, cpu: Cpu, page: Page) -> None:
    """End that; a slot that nobody names any more is free. Atomic: inside a step.

    Linux: mm/swap_state.c:delete_from_swap_cache.
    """
    slot = page.swap.peek()
    if slot is None:
        raise InvariantError("refcount-leak", f"{page!r} is not in the swap cache")
    cpu.write(page.swap, None)
    cpu.write(slot.cached, None)
    mech.note_in_hand(cpu, page, 1)
    mech.put_page(cpu, page)
    if cpu.read(slot.count) == 0:
        mech.swap.free(slot)


def swap_duplicate(cpu: Cpu, slot: SwapSlot) -> None:
    """One PTE more names the slot. Linux: swap_duplicate(). Atomic: inside a step."""
    cpu.add(slot.count, 1)


def swap_free(mech: Mechanism, cpu: Cpu, slot: SwapSlot) -> None:
    """One PTE less names it. Linux: swap_free(). Atomic: inside a step."""
    if cpu.add(slot.count, -1) == 0 and cpu.read(slot.cached) is None:
        mech.swap.free(slot)


def free_swap_and_cache(mech: Mechanism, cpu: Cpu, entry: SwapEntry) -> None:
    """A process gives an entry up, with the copy if nobody else has it.

    Linux: mm/swapfile.c:free_swap_and_cache. Atomic: inside a step.
    """
    slot = mech.swap.of(entry)
    page = cpu.read(slot.cached)
    swap_free(mech, cpu, slot)
    if page is None or cpu.read(slot.count) or page_mapcount(cpu, page):
        return
    if not cpu.read(page.locked) and not cpu.read(page.writeback):
        delete_from_swap_cache(mech, cpu, page)


def page_swapcount(cpu: Cpu, page: Page) -> int:
    """The PTEs that name a cached page's slot. Linux: page_swapcount()."""
    slot = cpu.read(page.swap)
    return 0 if slot is None else cpu.read(slot.count)


def write_to_slot(mech: Mechanism, cpu: Cpu, page: Page, slot: SwapSlot) -> None:
    """The device writes the page to its slot. Atomic: inside a step."""
    mech.touch_frame(cpu, page.pfn, 0, PAGE_SIZE, write=False)
    cpu.write(slot.data, mech.frames.read(page.pfn, 0, PAGE_SIZE))


def read_from_slot(mech: Mechanism, cpu: Cpu, page: Page, slot: SwapSlot) -> None:
    """The device fills the page from its slot. Atomic: inside a step."""
    data = cpu.read(slot.data)
    if data is None:
        raise InvariantError("refcount-leak", f"{slot!r} was read before it was written")
    mech.frames.write(page.pfn, 0, data)


def try_to_free_swap(mech: Mechanism, cpu: Cpu, page: Page) -> bool:
    """Take a locked page out of the swap cache if no PTE names its slot; whether it was.

    Linux: mm/swapfile.c:try_to_free_swap. Atomic: inside a step.
    """
    if cpu.read(page.swap) is None or cpu.read(page.writeback) or page_swapcount(cpu, page):
        return False
    delete_from_swap_cache(mech, cpu, page)
    return True


def free_swap_cache(mech: Mechanism, cpu: Cpu, page: Page) -> None:
    """Take a page that no PTE maps any more out of the swap cache, if that can be had.

    Linux: mm/swap_state.c:free_swap_cache. Atomic: inside a step.
    """
    cached = cpu.read(page.swap) is not None
    if cached and not page_mapcount(cpu, page) and not cpu.read(page.locked):
        try_to_free_swap(mech, cpu, page)
