"""Secondary MMUs are told what becomes of page tables. Linux: mm/mmu_notifier.c (since v2.6.27).

A secondary MMU has translations of an mm's pages of its own. Nobody finds them
by the rmap, so whoever takes an entry away, or makes it read-only, says so, and
the secondary MMU drops its own, with the reference it may have taken for it.

Not modelled: change_pte. Since Linux kernel commit 6bdb913f0a70 ("mm: wrap calls to
set_pte_at_notify with invalidate_range_start and invalidate_range_end", 2012) the
range is invalidated first, and it finds nothing to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from uemu.mm.mm_struct import MmStruct
from uemu.step import Cpu, Op


class MmuNotifier(Protocol):
    """What a secondary MMU is told. Linux: struct mmu_notifier_ops.

    Each begins inside a step of its caller and makes steps of its own.
    """

    def invalidate_page(self, cpu: Cpu, base: int) -> Op[None]:
        """The entry for ``base`` is gone; the page stays until this is over."""
        ...

    def invalidate_range_start(self, cpu: Cpu, start: int, end: int) -> Op[None]:
        """Entries in ``[start, end)`` are about to change; map none of them until the end."""
        ...

    def invalidate_range_end(self, cpu: Cpu, start: int, end: int) -> Op[None]:
        """They have changed."""
        ...

    def clear_flush_young(self, cpu: Cpu, base: int) -> Op[bool]:
        """Whether ``base`` was used through it since this was last asked."""
        ...

    def release(self, cpu: Cpu) -> Op[None]:
        """The address space ends."""
        ...


def notifiers_of(cpu: Cpu, mm: MmStruct) -> Sequence[MmuNotifier]:
    """Who wants to know of an mm. Linux: mm_has_notifiers(). Atomic: call inside a step."""
    cpu.touch(("mmu_notifier_mm", mm.id), write=False)
    return mm.notifiers


def register_notifier(cpu: Cpu, mm: MmStruct, notifier: MmuNotifier) -> None:
    """Let ``notifier`` know of ``mm`` from now on. Atomic: call inside a step."""
    cpu.touch(("mmu_notifier_mm", mm.id), write=True)
    mm.notifiers = (*mm.notifiers, notifier)


def unregister_notifier(cpu: Cpu, mm: MmStruct, notifier: MmuNotifier) -> None:
    """Let it know no more. Atomic: call inside a step."""
    cpu.touch(("mmu_notifier_mm", mm.id), write=True)
    mm.notifiers = tuple(other for other in mm.notifiers if other is not notifier)


def invalidate_page(cpu: Cpu, mm: MmStruct, base: int) -> Op[None]:
    """One entry is gone; the page table lock is kept. Linux: ptep_clear_flush_notify()."""
    for notifier in notifiers_of(cpu, mm):
        mm.page_table_lock.acquire(cpu)
        yield from notifier.invalidate_page(cpu, base)


def invalidate_range_start(cpu: Cpu, mm: MmStruct, start: int, end: int) -> Op[None]:
    """Entries are about to change; no spinlock is held."""
    for notifier in notifiers_of(cpu, mm):
        yield from notifier.invalidate_range_start(cpu, start, end)


def invalidate_range_end(cpu: Cpu, mm: MmStruct, start: int, end: int) -> Op[None]:
    """They have changed."""
    for notifier in notifiers_of(cpu, mm):
        yield from notifier.invalidate_range_end(cpu, start, end)


def clear_flush_young(cpu: Cpu, mm: MmStruct, base: int) -> Op[bool]:
    """Whether a secondary MMU used the page lately; the page table lock is kept.

    Linux: ptep_clear_flush_young_notify(). Not modelled: the accessed bit of the entry
    itself.
    """
    young = False
    for notifier in notifiers_of(cpu, mm):
        mm.page_table_lock.acquire(cpu)
        young |= yield from notifier.clear_flush_young(cpu, base)
    return young


def mmu_notifier_release(cpu: Cpu, mm: MmStruct) -> Op[None]:
    """Nobody runs in the mm any more, and it is about to map nothing."""
    for notifier in notifiers_of(cpu, mm):
        yield from notifier.release(cpu)
        unregister_notifier(cpu, mm, notifier)
