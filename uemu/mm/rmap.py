"""Who maps a page. Linux: mm/rmap.c."""

from __future__ import annotations

from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.step import Cpu


def mappings_of(mech: Mechanism, cpu: Cpu, page: Page) -> list[tuple[MmStruct, int]]:
    """The address spaces that map a page, and where, the oldest first. Atomic: inside a step."""
    cpu.touch(("rmap", page.pfn), write=False)
    found = []
    for mm in mech.mms.values():
        for base, pte in mm.entries():
            if isinstance(pte, Pte) and pte.pfn == page.pfn:
                found.append((mm, base))
    return found
