"""Shared memory: pages that belong to an object, not to an address space. Linux: mm/shmem.c.

``mmap(MAP_SHARED | MAP_ANONYMOUS)`` makes an object of its own; fork, a split
and mremap let more areas map it. A page is the object's from its first touch
until nobody maps the object any more, and copy-on-write never comes near it:
whoever holds a page, all see what is written there.

Not modelled: reclaim and migration of such pages (they say so and keep the
page); objects that a file or a name keeps; truncation.
"""

from __future__ import annotations

import errno

from uemu.errors import Fault
from uemu.events import SharedPageAdded
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pagevec import lru_cache_add
from uemu.mm.pte import Pte
from uemu.mm.vma import AddressSpace, Vma
from uemu.step import Cpu, Op, Step


def do_shared_fault(
    mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, mapping: AddressSpace, base: int,
    *, write: bool,
) -> Op[None]:  # fmt: skip
    """Map the page of a shared mapping, the same for all who map it.

    It is writable at once where the area is: nobody wants to be told of the
    first store. Linux: mm/memory.c:do_shared_fault, do_read_fault; shmem_fault.

    Raises:
        Fault: EFAULT, behind the object's end (the program gets SIGBUS); ENOMEM.
    """
    index = vma.pgoff(base)
    yield Step("shmem_fault", f"page {index} of the object")
    if index >= mapping.nr_pages:
        raise Fault(errno.EFAULT, base, "an access behind the end of shared memory")
    page = _find_or_add(mech, cpu, mapping, index, base)
    mech.get_page(cpu, page)
    yield mm.page_table_lock.step("alloc_set_pte", f"map pfn {page.pfn}")
    mm.page_table_lock.enter(cpu)
    if cpu.read(mm.pte(base)) is not None:
        mech.put_page(cpu, page)
        return
    mech.page_dup_rmap(cpu, page)
    mech.set_pte_at(cpu, mm, base, Pte(page.pfn, vma.writable(), write))


def _find_or_add(mech: Mechanism, cpu: Cpu, mapping: AddressSpace, index: int, base: int) -> Page:
    """The object's page; a fresh one of zeros if nobody touched it. Atomic: inside a step.

    Linux: shmem_getpage_gfp(), under the lock of the page.
    """
    cell = mapping.page(index)
    page = cpu.read(cell)
    if page is None:
        page = mech.alloc_page(cpu, base)
        mech.frames.zero(page.pfn)
        page.anon = False
        page.mapping = mapping
        mech.note_in_hand(cpu, page, -1)
        cpu.write(cell, page)
        mech.publish(SharedPageAdded, page.pfn)
        lru_cache_add(mech, cpu, page)
    return page


def wp_page_shared(mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma, base: int) -> Op[None]:
    """A store to a shared page whose entry lost _PAGE_RW: it gets it back.

    Linux: mm/memory.c:do_wp_page, wp_page_shared.
    """
    yield mm.page_table_lock.step("wp_page_shared", "write-protected still ?")
    mm.page_table_lock.enter(cpu)
    pte = cpu.read(mm.pte(base))
    if isinstance(pte, Pte) and not pte.write:
        mech.set_pte_at(cpu, mm, base, pte._replace(write=vma.writable(), dirty=True))


def map_object(cpu: Cpu, vma: Vma) -> None:
    """One more area maps an object. Linux: get_file(). Atomic: call inside a step."""
    if vma.vm_file is not None:
        cpu.touch(("i_mmap", vma.vm_file.number), write=True)


def remove_vma(mech: Mechanism, cpu: Cpu, mm: MmStruct, vma: Vma) -> None:
    """Take an area out whose entries are gone; the last of an object's areas ends the object.

    What devices hold of it they keep. Linux: remove_vma(), fput(),
    shmem_evict_inode(). Atomic: call inside a step.
    """
    mm.remove_vma(vma)
    mapping = vma.vm_file
    if mapping is None:
        return
    cpu.touch(("i_mmap", mapping.number), write=True)
    if any(other.vm_file is mapping for mm in mech.mms.values() for other in mm.vmas):
        return
    for cell in mapping.i_pages.values():
        page = cpu.read(cell)
        if page is not None:
            cpu.write(cell, None)
            page.mapping = None
            mech.note_in_hand(cpu, page, 1)
            mech.put_page(cpu, page)
