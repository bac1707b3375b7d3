"""The record of a page frame: who refers to it. Linux: struct page."""

from __future__ import annotations

from uemu.abi import GUP_PIN_COUNTING_BIAS
from uemu.step import Cell, Cpu


class Page:
    """One frame's record.

    Attributes:
        pfn: the frame's number.
        refcount: references of every kind: a PTE and a get add 1, a pin adds
            GUP_PIN_COUNTING_BIAS. The frame is freed when it falls to 0.
        mapcount: PTEs that map the frame (the kernel's _mapcount plus 1).
        anon: anonymous memory; fixed before the page is first mapped.
        reserved: the zero page: neither counted, mapped-counted nor freed.
    Invariants:
        check_refs  refcount covers mapcount and what devices hold.
    """

    __slots__ = ("_flags", "anon", "mapcount", "pfn", "refcount", "reserved")

    def __init__(self, pfn: int, *, reserved: bool = False) -> None:
        self.pfn = pfn
        self.refcount: Cell[int] = Cell(("refcount", pfn), 1)
        self.mapcount: Cell[int] = Cell(("mapcount", pfn), 0)
        self.anon = not reserved
        self.reserved = reserved
        self._flags: dict[str, Cell[bool]] = {}

    @property
    def locked(self) -> Cell[bool]:
        """PG_locked."""
        return self.flag("PG_locked")

    @property
    def anon_exclusive(self) -> Cell[bool]:
        """PG_anon_exclusive, for the policies that know it."""
        return self.flag("PG_anon_exclusive")

    def flag(self, name: str) -> Cell[bool]:
        """A page flag, clear in a fresh page; a policy may add its own (``"PG_gup"``)."""
        cell = self._flags.get(name)
        if cell is None:
            cell = self._flags[name] = Cell((name, self.pfn), False)
        return cell

    def flags_set(self) -> tuple[str, ...]:
        """The names of the flags that are set now, for drawings and reports."""
        return tuple(name for name, cell in sorted(self._flags.items()) if cell.peek())

    def __repr__(self) -> str:
        counts = f"{self.refcount.peek()}/{self.mapcount.peek()}"
        return " ".join((f"<pfn {self.pfn} {counts}", *self.flags_set())) + ">"


def page_count(cpu: Cpu, page: Page) -> int:
    """References to the page. Linux: page_count()."""
    return cpu.read(page.refcount)


def page_mapcount(cpu: Cpu, page: Page) -> int:
    """PTEs that map the page. Linux: page_mapcount()."""
    return cpu.read(page.mapcount)


def page_maybe_dma_pinned(cpu: Cpu, page: Page) -> bool:
    """Whether the page may be pinned; a page with 1024 gets looks the same.

    Linux: include/linux/mm.h:page_maybe_dma_pinned() (v5.7).
    """
    return cpu.read(page.refcount) >= GUP_PIN_COUNTING_BIAS


def trylock_page(cpu: Cpu, page: Page) -> bool:
    """Take PG_locked if it is free. Linux: trylock_page(). Atomic: call inside a step."""
    return not cpu.rmw(page.locked, lambda _: True)


def unlock_page(cpu: Cpu, page: Page) -> None:
    """Give PG_locked back. Linux: unlock_page(). Atomic: call inside a step."""
    cpu.write(page.locked, False)
