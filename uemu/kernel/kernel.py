"""The kernel: one policy, its memory, its devices, as operations on CPUs.

Everything here is a generator of Steps or says that it is atomic. Run to the
end (`uemu.step.run`) these operations are the kernel of a live machine;
advanced step by step they are a model.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Final

from uemu.abi import (
    MADV_DOFORK,
    MADV_DONTFORK,
    MADV_DONTNEED,
    MADV_KEEPONFORK,
    MADV_WIPEONFORK,
    PAGE_MASK,
    PAGE_SIZE,
    PROT_READ,
    PROT_WRITE,
)
from uemu.errors import Fault
from uemu.events import EventBus
from uemu.kernel.cpus import CpuPort, SimulatedCpus
from uemu.kernel.io import IoPaths
from uemu.kernel.secondary import SecondaryMmu, attach_secondary
from uemu.kernel.user import UserMode
from uemu.mm import check
from uemu.mm.adopt import adopt_page, cover, disown
from uemu.mm.clear_refs import clear_refs
from uemu.mm.fault import do_user_fault
from uemu.mm.fork import dup_mmap
from uemu.mm.frames import FrameStore
from uemu.mm.hooks import PolicyHooks
from uemu.mm.ksm import Place, merge_pages
from uemu.mm.mechanism import Mechanism
from uemu.mm.migrate import migrate_page
from uemu.mm.mm_struct import HPAGE_NR, MMAP_END, MmStruct
from uemu.mm.mmu import MmuPort
from uemu.mm.mprotect import mprotect
from uemu.mm.mremap import mremap
from uemu.mm.munmap import exit_mmap, madvise_dontneed, munmap
from uemu.mm.page import Page
from uemu.mm.pagevec import is_lru, lru_add_drain, lru_add_drain_all
from uemu.mm.pte import Pte
from uemu.mm.reclaim import shrink_page
from uemu.mm.thp import split_huge_pmds_at
from uemu.mm.vma import Vm, Vma, vm_flags_of
from uemu.step import Cpu, Op, Step

FORK_ADVICE: Final = {
    MADV_DONTFORK: (Vm.DONTCOPY, 0),
    MADV_DOFORK: (0, Vm.DONTCOPY),
    MADV_WIPEONFORK: (Vm.WIPEONFORK, 0),
    MADV_KEEPONFORK: (0, Vm.WIPEONFORK),
}
"""What madvise(2) says of forks to come: the flags of a VMA it sets, and those it takes away."""


HUGE: Final = {"": 0, "hugetlb": Vm.HUGETLB, "thp": Vm.HUGEPAGE}
"""What mmap may be asked for in the way of huge pages: the flag of the VMA."""


class Kernel:
    """Frames, a policy, an MMU and devices, joined.

    Args:
        cpus: what executes a program's stores and loads; simulated, if not given.

    Attributes:
        hooks: the policy.
        mech: the mechanism and its pages.
        io: from system calls to devices and back; ``io.dma`` are the devices.
        user: what CPUs do in user mode, one step at a time.
        events: where everything that happens is announced.
    """

    def __init__(
        self,
        hooks: PolicyHooks,
        frames: FrameStore,
        mmu: MmuPort,
        events: EventBus,
        *,
        cpus: CpuPort | None = None,
        ipi_waits_for_gup_fast: bool = True,
        pagevecs: bool = False,
        hpage_nr: int = HPAGE_NR,
    ) -> None:
        self.hooks = hooks
        self.frames = frames
        self.mmu = mmu
        self.events = events
        self.mech = Mechanism(
            hooks,
            frames,
            mmu,
            events,
            ipi_waits_for_gup_fast=ipi_waits_for_gup_fast,
            pagevecs=pagevecs,
            hpage_nr=hpage_nr,
        )
        hooks.mech = self.mech
        cpus = cpus or SimulatedCpus(frames, mmu)
        self._cpus = cpus
        self.io = IoPaths(self.mech, events, cpus)
        self.user = UserMode(self.mech, events, cpus)

    # Address spaces ---------------------------------------------------------------------

    def mm_create(self, name: str) -> MmStruct:
        """Begin an address space with nothing in it (exec)."""
        return self.mech.mm_alloc(name)

    def fork(self, cpu: Cpu, mm: MmStruct, name: str = "child") -> Op[MmStruct]:
        """Return a child of ``mm``. Linux: kernel/fork.c:dup_mm."""
        return dup_mmap(self.mech, cpu, mm, name)

    def exit_mm(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """Tear down an address space nobody runs in any more."""
        return exit_mmap(self.mech, cpu, mm)

    def mmap(
        self,
        cpu: Cpu,
        mm: MmStruct,
        length: int,
        prot: int = PROT_READ | PROT_WRITE,
        *,
        shared: bool = False,
        huge: str = "",
    ) -> Op[int]:
        """Map ``length`` bytes of anonymous memory; return its address.

        Each mapping is followed by an unmapped page.

        Args:
            shared: MAP_SHARED: children see the same memory.
            huge: "hugetlb": in pages of hugetlb, as MAP_HUGETLB asks for; "thp": in
                transparent huge pages, as MADV_HUGEPAGE does of aligned memory.

        Raises:
            Fault: EINVAL, the length is not positive, or with ``huge`` no multiple of
                the size of a huge page, or ``shared``, too, or that kernel has none;
                ENOMEM, there is no room.
            ValueError: no such ``huge``.
        """
        if huge not in HUGE:
            raise ValueError(f"unknown huge {huge!r}; known: {', '.join(filter(None, HUGE))}")
        yield from mm.mmap_lock.write_once(cpu, "mmap", "a new VMA")
        if length <= 0:
            raise Fault(errno.EINVAL, 0, f"mmap of {length} bytes")
        if huge == "hugetlb" and not self.hooks.has_hugetlb:
            raise Fault(errno.EINVAL, 0, f"a private mapping of hugetlb under {self.hooks.name}")
        if huge and shared:
            raise Fault(errno.EINVAL, 0, "a shared mapping of huge pages: only private ones are")
        if huge == "thp" and not self.hooks.has_thp:
            raise Fault(errno.EINVAL, 0, f"transparent huge pages under {self.hooks.name}")
        if huge and length % mm.hpage_size:
            raise Fault(errno.EINVAL, 0, f"a huge mapping of {length} bytes: the length must be"
                        f" a multiple of {mm.hpage_size}")  # fmt: skip
        size = (length + PAGE_SIZE - 1) & PAGE_MASK
        addr = mm.next_huge_addr() if huge else mm.next_addr
        if addr + size > MMAP_END:
            raise Fault(errno.ENOMEM, 0, f"mmap of {length} bytes")
        mm.next_addr = addr + size + PAGE_SIZE
        vma = Vma(addr, addr + size, vm_flags_of(prot) | Vm.MAYWRITE | HUGE[huge])
        if shared:
            vma.vm_flags |= Vm.SHARED
            vma.vm_file = self.mech.new_object(size // PAGE_SIZE)
        mm.insert_vma(vma)
        return addr

    def munmap(self, cpu: Cpu, mm: MmStruct, addr: int, length: int) -> Op[None]:
        """Unmap whole pages.

        Raises:
            Fault: EINVAL, ``addr`` is not page-aligned or the length not positive.
        """
        start, end = _page_aligned(addr, length, "munmap")
        return munmap(self.mech, cpu, mm, start, end)

    def mremap(
        self, cpu: Cpu, mm: MmStruct, addr: int, old_length: int, new_length: int
    ) -> Op[int]:
        """Move a mapping to where ``new_length`` bytes have room; return its new address.

        Raises:
            Fault: EINVAL (alignment, lengths), EFAULT (not one mapping), ENOMEM.
        """
        start, old_end = _page_aligned(addr, old_length, "mremap")
        _, new_end = _page_aligned(addr, new_length, "mremap")
        if new_end < old_end:
            raise Fault(errno.EINVAL, addr, "mremap to a smaller size: use munmap")
        return mremap(self.mech, cpu, mm, start, old_end, new_end - start)

    def mprotect(self, cpu: Cpu, mm: MmStruct, addr: int, length: int, prot: int) -> Op[None]:
        """Change the protection of whole pages.

        Raises:
            Fault: EINVAL (alignment), ENOMEM (not mapped).
        """
        start, end = _page_aligned(addr, length, "mprotect")
        return mprotect(self.mech, cpu, mm, start, end, prot)

    def madvise(self, cpu: Cpu, mm: MmStruct, addr: int, length: int, advice: int) -> Op[None]:
        """MADV_DONTFORK, DOFORK, WIPEONFORK, KEEPONFORK, DONTNEED.

        Raises:
            Fault: EINVAL (alignment, unknown advice), ENOMEM (not mapped).
        """
        start, end = _page_aligned(addr, length, "madvise")
        if advice == MADV_DONTNEED:
            yield from madvise_dontneed(self.mech, cpu, mm, start, end)
            return
        is_new = advice in (MADV_WIPEONFORK, MADV_KEEPONFORK)
        if advice not in FORK_ADVICE or (is_new and not self.hooks.has_wipeonfork):
            raise Fault(errno.EINVAL, addr, f"madvise {advice} under {self.hooks.name}")
        lock = mm.mmap_lock
        yield from lock.write_once(cpu, "madvise_behavior", "new VMA flags")
        if not mm.covers(start, end):
            raise Fault(errno.ENOMEM, addr, "madvise of what is not mapped")
        if advice == MADV_WIPEONFORK and any(vma.vm_file for vma in mm.vmas_in(start, end)):
            raise Fault(errno.EINVAL, addr, "MADV_WIPEONFORK of shared memory")
        if mm.cuts_hugetlb(start, end) or (is_new and self._has_hugetlb(mm, start, end)):
            raise Fault(errno.EINVAL, addr, f"madvise {advice} of hugetlb")
        if mm.cuts_huge_entry(start, end):
            lock.down_write(cpu)
            yield from split_huge_pmds_at(self.mech, cpu, mm, start, end)
            lock.up_write(cpu)
        self.advised(mm, start, end, advice)

    def _has_hugetlb(self, mm: MmStruct, start: int, end: int) -> bool:
        """It is a file's, and not wiped. Linux: madvise_behavior, vma->vm_file."""
        return any(v.is_hugetlb() for v in mm.vmas if start < v.vm_end and v.vm_start < end)

    def advised(self, mm: MmStruct, start: int, end: int, advice: int) -> None:
        """Note advice of FORK_ADVICE for ``[start, end)`` that has been granted. Atomic."""
        on, off = FORK_ADVICE[advice]
        for vma in mm.vmas_in(start, end):
            vma.vm_flags = (vma.vm_flags | on) & ~off

    def clear_refs(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """Write "4" to the clear_refs of a process: soft-dirty bits begin anew.

        Raises:
            Fault: EINVAL, that kernel has none.
        """
        return clear_refs(self.mech, cpu, mm)

    def migrate(self, cpu: Cpu, mm: MmStruct, addr: int) -> Op[str]:
        """Move the frame mapped at ``addr``: `migrate.MIGRATED`, or why it stays.

        Linux: migrate_prep(), do_move_page_to_node_array().
        """
        yield from lru_add_drain_all(self.mech, cpu)
        yield Step("migrate_pages", "take the page")
        page = self._lru_page(cpu, mm, addr)
        if isinstance(page, str):
            return page
        return (yield from migrate_page(self.mech, cpu, page, addr & PAGE_MASK))

    def ksm_merge(self, cpu: Cpu, first: Place, second: Place) -> Op[str]:
        """Make one page of two with the same bytes: `ksm.MERGED`, or why they stay two.

        Raises:
            Fault: EINVAL, that kernel has no KSM.
        """
        if not self.hooks.has_ksm:
            raise Fault(errno.EINVAL, first[1], f"KSM under {self.hooks.name}")
        yield from lru_add_drain_all(self.mech, cpu)  # scan_get_next_rmap_item(), since v2.6.38
        return (yield from merge_pages(self.mech, cpu, first, second))

    def swap_out(self, cpu: Cpu, mm: MmStruct, addr: int) -> Op[str]:
        """Reclaim wants the frame mapped at ``addr``: `reclaim.FREED`, or why it is kept.

        Linux: what MADV_PAGEOUT (v5.4) asks for, or kswapd of its own accord.
        """
        yield Step("shrink_list", "take the page from the LRU list")
        lru_add_drain(self.mech, cpu)
        page = self._lru_page(cpu, mm, addr)
        if isinstance(page, str):
            return page
        return (yield from shrink_page(self.mech, cpu, page))

    def _lru_page(self, cpu: Cpu, mm: MmStruct, addr: int) -> Page | str:
        """The page to take from the LRU list, or why there is none. Atomic: inside a step."""
        pte = mm.walk(cpu, addr & PAGE_MASK)
        if not isinstance(pte, Pte):
            return "nothing is mapped"
        page = self.mech.page_of(pte)
        if page.hugetlb:
            return "it is a page of hugetlb"
        if not is_lru(self.mech, cpu, page):
            return "it is not on the LRU list"
        return page

    def attach_secondary(
        self, cpu: Cpu, mm: MmStruct, addr: int, length: int, kind: str
    ) -> Op[SecondaryMmu]:
        """Let a secondary MMU (``kvm``, ``xpmem``, ``gru``) translate whole pages.

        Raises:
            Fault: EFAULT (not mapped), EINVAL (alignment, huge or shared memory), ENOSYS.
            ValueError: no such kind.
        """
        return attach_secondary(
            self.mech, self.events, self._cpus, self.io.dma, cpu, mm, addr, length, kind
        )

    def cover(
        self, mm: MmStruct, start: int, end: int, prot: int, *, dontfork: bool, wipeonfork: bool
    ) -> None:
        """Let the kernel know of mappings a real process has in ``[start, end)``. Atomic."""
        flags = (Vm.DONTCOPY if dontfork else 0) | (Vm.WIPEONFORK if wipeonfork else 0)
        cover(mm, start, end, prot, flags)

    def adopt(self, cpu: Cpu, sharers: Sequence[MmStruct], base: int, data: bytes) -> None:
        """Take over a page that real processes have, one or several by fork. Atomic."""
        adopt_page(self.mech, cpu, sharers, base, data)

    def disown(self, cpu: Cpu, mm: MmStruct, start: int, end: int) -> None:
        """Give pages back to a real process, which has their bytes already. Atomic."""
        disown(self.mech, cpu, mm, start, end)

    def fault(self, cpu: Cpu, mm: MmStruct, addr: int, *, write: bool) -> Op[None]:
        """Handle a trap; afterwards the access may be tried again.

        Raises:
            Fault: EFAULT, the program's own SIGSEGV.
        """
        return do_user_fault(self.mech, cpu, mm, addr, write=write)

    def check(self, *, at_rest: bool, stores_wait: bool = False) -> None:
        """Check every invariant of the mechanism; see `uemu.mm.check.check_all`.

        Raises:
            InvariantError: one does not hold.
        """
        check.check_all(self.mech, self.io.holds(), at_rest=at_rest, stores_wait=stores_wait)


def _page_aligned(addr: int, length: int, what: str) -> tuple[int, int]:
    if addr % PAGE_SIZE or length <= 0:
        raise Fault(errno.EINVAL, addr, f"{what}: the address must be a multiple of {PAGE_SIZE}"
                    f" and the length positive, not {length}")  # fmt: skip
    return addr, addr + ((length + PAGE_SIZE - 1) & PAGE_MASK)
