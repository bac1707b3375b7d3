"""The questions the mechanism asks a policy.

A policy answers the four that have no common answer and overrides others
where its kernel differed. Hooks that return an ``Op`` are generators: the
label first, the effect after, and the first `Step` of each waits for the
page table lock where the kernel held it.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from uemu.abi import Foll
from uemu.mm.clear_refs_hooks import ClearRefsHooks
from uemu.mm.huge_hooks import HugetlbHooks, ThpHooks
from uemu.mm.lock_hooks import LockHooks
from uemu.mm.locks import RwSem
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.page_alloc import SECTOR
from uemu.mm.pte import Pte
from uemu.mm.reclaim_hooks import ReclaimHooks
from uemu.mm.vma import Vm, Vma
from uemu.step import Cpu, Op


@dataclass(frozen=True, slots=True)
class GupCall:
    """How an API takes its pages.

    Attributes:
        foll: FOLL_GET or FOLL_PIN, with WRITE, FORCE, LONGTERM.
        fast: whether it tries get_user_pages_fast() first.
        locked: whether the caller holds mmap_lock already.
    """

    foll: Foll
    fast: bool
    locked: bool = False


class NeedFault(enum.Enum):
    """Why follow_page_pte returns no page: what faultin_page must do first."""

    READ = "read fault"
    WRITE = "write fault"
    UNSHARE = "unshare fault"


@dataclass(frozen=True, slots=True)
class ApiUse:
    """What an API does with memory, whatever the kernel.

    Attributes:
        long_term: holds the page until it is released, not for one request.
        process_reads: what is read through the reference ends in a process,
            not in a device.
        always_write: asks for write access even to read.
        fast: tries get_user_pages_fast() first.
    """

    long_term: bool
    process_reads: bool
    always_write: bool
    fast: bool


APIS: dict[str, ApiUse] = {
    "o_direct": ApiUse(long_term=False, process_reads=False, always_write=False, fast=True),
    "vmsplice": ApiUse(long_term=False, process_reads=True, always_write=False, fast=True),
    "io_uring": ApiUse(long_term=True, process_reads=False, always_write=True, fast=False),
    "rdma": ApiUse(long_term=True, process_reads=False, always_write=True, fast=False),
    "vfio": ApiUse(long_term=True, process_reads=False, always_write=False, fast=False),
    "process_vm": ApiUse(long_term=False, process_reads=False, always_write=False, fast=False),
}
"""Who takes references to user pages, under the names the library uses.

Linux: fs/direct-io.c and lib/iov_iter.c; fs/splice.c for vmsplice;
io_uring/rsrc.c; drivers/infiniband/core/umem.c;
drivers/vfio/vfio_iommu_type1.c; mm/process_vm_access.c. io_uring and VFIO under
a kernel that did not have them yet are a thought experiment: a get, as
everything was.
"""


class PolicyHooks(LockHooks, ReclaimHooks, ClearRefsHooks, HugetlbHooks, ThpHooks, ABC):
    """The rules of one kernel.

    Attributes:
        name: what people call it: ``linux-2.6.29``.
        year: when it was released or posted.
        summary: one line for lists.
        variants: names and one-line descriptions of what else it can be.
        variant: the one chosen, or "".
        read_fault_maps_zero_page: what a read of untouched memory maps.
        has_wipeonfork: whether MADV_WIPEONFORK exists (since v4.14).
        has_aio: whether io_submit(2) exists (since v2.6).
        dio_multiple: what addresses and lengths of O_DIRECT's buffers must be
            multiples of, in bytes.
        pagevec_size: how many fresh pages wait on a CPU for the LRU, where the
            mechanism has them wait; 0: none ever did.
        makes_wait: whether I/O, fork or faults may wait for an I/O to end.
        not_for_programs: why programs that run freely cannot be under it, or None;
            simulated, and where every process can be stopped, it has no limits.
        lock_name: what mmap_lock was called then.
        mmap_lock_type: whether a writer that waits for it stops new readers,
            which matters where it is held for long.
        fault_fn, copy_fn, mprotect_fn: what that kernel calls the functions
            of `uemu.mm` that bear another year's name.
    """

    name: ClassVar[str]
    year: ClassVar[int]
    summary: ClassVar[str]
    variants: ClassVar[dict[str, str]] = {}
    read_fault_maps_zero_page: ClassVar[bool] = True
    has_wipeonfork: ClassVar[bool] = True
    has_aio: ClassVar[bool] = True
    dio_multiple: ClassVar[int] = SECTOR
    pagevec_size: ClassVar[int] = 15
    makes_wait: ClassVar[bool] = False
    not_for_programs: ClassVar[str | None] = None
    lock_name: ClassVar[str] = "mmap_lock"
    mmap_lock_type: ClassVar[type[RwSem]] = RwSem
    fault_fn: ClassVar[str] = "do_user_addr_fault"
    copy_fn: ClassVar[str] = "wp_page_copy"
    mprotect_fn: ClassVar[str] = "do_mprotect_pkey"

    mech: Mechanism

    def __init__(self, variant: str = "") -> None:
        if variant and variant not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise ValueError(f"{self.name} has no variant {variant!r}; it has: {known}")
        self.variant = variant

    def leaks(self) -> bool:
        """Whether it is known to lose count of references, as its patch does."""
        return False

    # Which reference an API takes ---------------------------------------------

    def gup_kind(self, api: str, *, write: bool) -> GupCall:
        """The FOLL_ flags ``api`` passes; ``write`` if the device will write.

        Before v5.6 everything is a get.
        """
        use = APIS[api]
        foll = Foll.GET
        if write or use.always_write:
            foll |= Foll.WRITE
        return GupCall(foll, use.fast)

    # fork ------------------------------------------------------------------------

    def copy_page_range_begin(self, cpu: Cpu, src: MmStruct) -> Op[None]:
        """Before fork copies the entries of a COW mapping."""
        return
        yield  # pragma: no cover

    def copy_page_range_end(self, cpu: Cpu, src: MmStruct) -> Op[None]:
        """After fork copied the entries of a COW mapping."""
        return
        yield  # pragma: no cover

    def copied_vma(self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma) -> Op[None]:
        """After fork copied the entries of ``vma``, the parent's, be it a COW mapping or not."""
        return
        yield  # pragma: no cover

    @abstractmethod
    def copy_present_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        """Give ``dst`` its entry for ``base``, which is present in ``src``."""

    # pages -----------------------------------------------------------------------

    def new_anon_page(self, cpu: Cpu, page: Page) -> None:
        """A fresh page is about to be mapped by one mm. Atomic: call inside a step."""

    def first_touch(self, cpu: Cpu, vma: Vma, page: Page) -> None:
        """Memory that nobody touched gets a page of its own. Atomic: call inside a step."""

    # write fault -------------------------------------------------------------------

    @abstractmethod
    def do_wp_page(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, *, unshare: bool = False
    ) -> Op[None]:
        """Handle a write (or unshare) fault on a present, write-protected entry."""

    # get_user_pages ----------------------------------------------------------------

    def gup_look_at_vma(self, cpu: Cpu, mm: MmStruct, vma: Vma) -> Op[bool]:
        """Before a page of ``vma`` is looked up: whether the VMA has to be found once more.

        mmap_lock is held for reading, before and after, and may be given up meanwhile.
        """
        return False
        yield  # pragma: no cover

    def should_force_cow_break(self, vma: Vma, foll: Foll) -> bool:
        """Whether slow gup looks a page up as for a write, whatever the device will do.

        Asked once for each page, before it is looked up. Linux: should_force_cow_break (v5.8).
        """
        return False

    @abstractmethod
    def follow_page_pte(
        self, cpu: Cpu, mm: MmStruct, vma: Vma, base: int, foll: Foll
    ) -> Op[Page | NeedFault]:
        """Look the page up and hold it, or say which fault must come first."""

    @abstractmethod
    def gup_fast_pte(self, cpu: Cpu, mm: MmStruct, base: int, foll: Foll) -> Op[Page | None]:
        """Hold the page without a lock, interrupts off, or None: take the slow path."""

    def gup_fast_begin(self, cpu: Cpu, mm: MmStruct, foll: Foll) -> Op[int | None]:
        """Before interrupts go off: a token for `gup_fast_end`, or None: go slow."""
        return 0
        yield  # pragma: no cover

    def gup_fast_end(self, cpu: Cpu, mm: MmStruct, foll: Foll, token: int) -> Op[bool]:
        """After interrupts are on again: whether the pages may be kept."""
        return True
        yield  # pragma: no cover

    def gup_fast_keep(self, cpu: Cpu, pages: list[Page], foll: Foll) -> Op[list[Page]]:
        """Which of the pages fast gup hands out, from the first on, once it may keep them.

        Interrupts are on. The policy gives the others back itself.
        """
        return pages
        yield  # pragma: no cover

    def foll_cow_broken(self, foll: Foll) -> Foll:
        """How gup looks again once COW is broken in an area without VM_WRITE.

        As a read, up to v4.8; see `Foll.COW` for later.
        """
        return foll & ~Foll.WRITE

    def check_pinned(self, cpu: Cpu, page: Page) -> None:
        """Complain of a page that may not be pinned. Atomic: inside a step.

        Asked where pins are kept and where they are given back.
        """

    def gup_mark_mm(self, cpu: Cpu, mm: MmStruct, foll: Foll) -> None:
        """Note in the mm that its pages are being held. Atomic: inside gup's first step."""

    # mprotect ----------------------------------------------------------------------

    def pte_modify(self, cpu: Cpu, vma: Vma, pte: Pte) -> Pte:
        """The entry after mprotect changed the VMA's protection.

        A private mapping's vm_page_prot has no write bit, so that the next
        store faults and do_wp_page decides. Linux: mm/mprotect.c:change_pte_range.
        """
        return pte.wrprotect()._replace(user=vma.vm_flags & Vm.READ != 0)
