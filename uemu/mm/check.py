"""Invariants of the mechanism, each named in the class whose rule it is.

``holds`` counts what devices hold, as the caller knows it: pfn to the sum of
references (1 a get, GUP_PIN_COUNTING_BIAS a pin). References that an
operation under way has taken come on top, so counts are checked for "at
least" while something runs and for "exactly" when nothing does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from uemu.abi import PAGE_SIZE
from uemu.errors import InvariantError
from uemu.mm.mechanism import Mechanism
from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.mm.pte import Pte, SwapEntry


def check_all(
    mech: Mechanism, holds: Mapping[int, int], *, at_rest: bool, stores_wait: bool = False
) -> None:
    """Run every check.

    Args:
        at_rest: no operation is under way, so no reference is in transit.
        stores_wait: some CPU has stores that nobody else sees yet; whether a slot of swap,
            its page and the entries that name it agree is not asked then.

    Raises:
        InvariantError: with the violation's name and the page.
    """
    refs: Counter[int] = Counter()
    mapped: Counter[int] = Counter()
    named: Counter[int] = Counter()
    for mm in mech.mms.values():
        for base, cell in mm.pmds.items():
            if isinstance(pmd := cell.peek(), Pte):
                check_pmd(mech, mm, base, pmd)
                refs[pmd.pfn] += 1
                mapped.update(page.pfn for page in mapped_by(mech, pmd))
        for base, cell in mm.ptes.items():
            pte = cell.peek()
            if isinstance(pte, Pte):
                check_pte(mech, mm, base, pte)
                refs[mech.pages[pte.pfn].head.pfn] += 1
                mapped[pte.pfn] += 1
            elif isinstance(pte, SwapEntry):
                named[pte.entry] += 1
    waiting = mech.pagevecs.refs() if mech.pagevecs is not None else Counter[int]()
    for pfn, page in mech.pages.items():
        if page.reserved:
            continue
        if page.head is page:
            held = holds.get(pfn, 0) + waiting[pfn]
            check_refs(mech, pfn, refs[pfn], held, at_rest=at_rest)
        if at_rest and (page.head is page or not page.hugetlb):
            check_mapcount(page, mapped[pfn])
    if mech.in_hand:
        check_in_hand(mech)
    if not stores_wait:
        check_swap(mech, named)
    check_shared(mech)


def check_shared(mech: Mechanism) -> None:
    """A page of shared memory is where its object has it, and somebody maps the object."""
    mapped = {id(vma.vm_file) for mm in mech.mms.values() for vma in mm.vmas}
    for page in mech.pages.values():
        mapping = page.mapping
        if mapping is None:
            continue
        if id(mapping) not in mapped:
            raise InvariantError("refcount-leak", f"{page!r} is of {mapping!r}, which nobody maps")
        if not any(cell.peek() is page for cell in mapping.i_pages.values()):
            raise InvariantError("refcount-leak", f"{mapping!r} does not know of {page!r}")


def check_pte(mech: Mechanism, mm: MmStruct, base: int, pte: Pte) -> None:
    """A present entry lies inside a VMA and names a live page; the zero page is read-only."""
    if pte.pfn not in mech.pages:
        raise InvariantError("pinned-page-freed", f"{mm} maps freed pfn {pte.pfn} at {base:#x}")
    if mm.find_vma(base) is None:
        raise InvariantError("refcount-leak", f"{mm} maps pfn {pte.pfn} outside any VMA")
    if pte.write and mech.pages[pte.pfn].reserved:
        raise InvariantError("refcount-leak", f"{mm} maps the zero page writable at {base:#x}")


def check_pmd(mech: Mechanism, mm: MmStruct, base: int, pmd: Pte) -> None:
    """A huge entry maps a whole compound page, and no other entry maps anything there."""
    for i in range(pmd.nr):
        check_pte(mech, mm, base + i * PAGE_SIZE, pmd.sub(i))
    if mm.bases_in(base, base + mm.hpage_size):
        raise InvariantError("refcount-leak", f"{mm} has entries under {pmd} at {base:#x}")
    head = mech.pages[pmd.pfn]
    if head.head is not head or head.nr != pmd.nr or pmd.nr != mm.hpage_nr:
        raise InvariantError("refcount-leak", f"{mm} maps {head!r} at {base:#x} as {pmd}")


def mapped_by(mech: Mechanism, pmd: Pte) -> list[Page]:
    """The pages whose mapcount counts a huge entry: of hugetlb, the head's alone."""
    head = mech.pages[pmd.pfn]
    return [head] if head.hugetlb else mech.subpages(head)


def check_in_hand(mech: Mechanism) -> None:
    """No CPU gives away references that it does not have."""
    for (cpu, pfn), n in mech.in_hand.items():
        if n < 0:
            raise InvariantError(
                "refcount-leak", f"{cpu} gave {-n} references of pfn {pfn} too many"
            )


def check_refs(mech: Mechanism, pfn: int, mapped: int, held: int, *, at_rest: bool) -> None:
    """refcount covers the PTEs, the swap cache, devices and pagevecs; at rest it is their sum."""
    page = mech.pages[pfn]
    count = page.refcount.peek()
    expected = mapped + held + (page.swap.peek() is not None) + (page.mapping is not None)
    if count < expected or (at_rest and count != expected):
        raise InvariantError(
            "refcount-leak", f"{page!r} has {mapped} PTEs and {held} references of others"
        )
    if page.pincount is not None and not 0 <= page.pincount.peek() <= count:
        raise InvariantError("refcount-leak", f"{page!r} has {page.pincount.peek()} pins")


def check_mapcount(page: Page, mapped: int) -> None:
    """mapcount is the number of PTEs, and of huge ones of which it is a part."""
    if page.mapcount.peek() != mapped:
        raise InvariantError("refcount-leak", f"{page!r} is mapped by {mapped} PTEs")


def check_swap(mech: Mechanism, named: Mapping[int, int]) -> None:
    """A slot counts the PTEs that name it, and it and its copy agree about each other."""
    for number, n in named.items():
        if number not in mech.swap.slots:
            raise InvariantError("refcount-leak", f"{n} PTEs name swap {number}, which is free")
    for slot in mech.swap.slots.values():
        page, n = slot.cached.peek(), named.get(slot.number, 0)
        if slot.count.peek() != n:
            raise InvariantError("refcount-leak", f"{slot!r} is named by {n} PTEs")
        if page is None and n == 0:
            raise InvariantError("refcount-leak", f"{slot!r} is nobody's")
        if page is not None and page.swap.peek() is not slot:
            raise InvariantError("refcount-leak", f"{slot!r} and {page!r} disagree")
