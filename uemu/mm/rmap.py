"""Who maps a page. Linux: mm/rmap.c."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.step import Cpu


def entries_where(
    mech: Mechanism, is_it: Callable[[object], bool]
) -> Iterator[tuple[MmStruct, int]]:
    """The entries of a kind, by address space and address, the oldest first. Atomic."""
    for mm in mech.mms.values():
        for base, entry in mm.entries():
            if is_it(entry):
                yield mm, base


def mappings(mech: Mechanism, page: Page) -> list[tuple[MmStruct, int]]:
    """The address spaces that map a page, and where, for ``enabled``: no CPU touches anything."""
    return list(entries_where(mech, lambda pte: isinstance(pte, Pte) and pte.pfn == page.pfn))


def mappings_of(mech: Mechanism, cpu: Cpu, page: Page) -> list[tuple[MmStruct, int]]:
    """The same, looked up by a CPU. Atomic: call inside a step."""
    cpu.touch(("rmap", page.pfn), write=False)
    return mappings(mech, page)
