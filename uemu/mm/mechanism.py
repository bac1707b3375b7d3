"""What every kernel here shares: pages, page tables, and the means to change them.

The functions of `uemu.mm` take the `Mechanism` first and ask its ``hooks``
(the policy) wherever kernels differ. Its pages are in `uemu.mm.page_alloc`, its
page tables in `uemu.mm.page_table`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uemu.events import EventBus, MmCreated, MmGone, MmId
from uemu.mm.frames import FrameStore
from uemu.mm.locks import SpinLock
from uemu.mm.mm_struct import HPAGE_NR, MmStruct
from uemu.mm.mmu import MmuPort
from uemu.mm.page_table import PageTables
from uemu.mm.pagevec import LruPagevecs
from uemu.mm.swap import SwapDevice
from uemu.mm.vma import AddressSpace

if TYPE_CHECKING:
    from uemu.mm.hooks import PolicyHooks


class Mechanism(PageTables):
    """Physical memory, the address spaces and the ports they are applied to.

    Attributes:
        hooks: the policy.
        mms: live address spaces by number.
        swap: the swap device.
        hugetlb_mutex: serialises the faults on pages of hugetlb.
    """

    def __init__(
        self,
        hooks: PolicyHooks,
        frames: FrameStore,
        mmu: MmuPort,
        events: EventBus,
        *,
        ipi_waits_for_gup_fast: bool = True,
        pagevecs: bool = False,
        hpage_nr: int = HPAGE_NR,
    ) -> None:
        super().__init__(
            frames, mmu, events, hpage_nr, ipi_waits_for_gup_fast=ipi_waits_for_gup_fast
        )
        self.hooks = hooks
        self.mms: dict[MmId, MmStruct] = {}
        self.swap = SwapDevice()
        if pagevecs and hooks.pagevec_size:
            self.pagevecs = LruPagevecs(self, hooks.pagevec_size)
        self.hugetlb_mutex = SpinLock(("hugetlb_instantiation_mutex",))
        self._next_mm: MmId = 0
        self._next_object = 0

    def mm_alloc(self, name: str, parent: MmStruct | None = None) -> MmStruct:
        """Begin an address space; it maps nothing yet."""
        mm = MmStruct(self._next_mm, name, self.hooks.mmap_lock_type, self.hpage_nr)
        self._next_mm += 1
        self.mms[mm.id] = mm
        if parent is not None:
            mm.next_addr = parent.next_addr
        self.mmu.mm_created(mm.id, parent.id if parent else None)
        self.publish(MmCreated, mm.id, name, parent.id if parent else None)
        return mm

    def mm_free(self, mm: MmStruct) -> None:
        """End an address space that maps nothing any more."""
        mm.gone = True
        del self.mms[mm.id]
        self.mmu.mm_gone(mm.id)
        self.publish(MmGone, mm.id)

    def new_object(self, nr_pages: int) -> AddressSpace:
        """Begin an object of shared memory; an area that maps it keeps it."""
        self._next_object += 1
        return AddressSpace(self._next_object, nr_pages)
