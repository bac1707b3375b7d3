"""One address space. Linux: struct mm_struct."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import TYPE_CHECKING

from uemu.abi import PAGE_SIZE
from uemu.events import MmId
from uemu.mm.locks import FairRwSem, RwSem, SpinLock
from uemu.mm.pte import AnyPte, Pte
from uemu.mm.vma import Vma
from uemu.step import Cell, Cpu

if TYPE_CHECKING:
    from uemu.mm.notifier import MmuNotifier

MMAP_BASE = 0x1000_0000_0000
"""Where the first mapping of an emulated process goes, in bytes."""

MMAP_END = 0x7000_0000_0000
"""Where the last one ends; above it a real process has its stack."""


HPAGE_NR = 512
"""How many pages a huge entry maps on x86-64: 2 MiB."""


class MmStruct:
    """One address space.

    Attributes:
        id: its number; events speak of it by this.
        name: "parent", "child" ...: what people call it.
        vmas: sorted, disjoint. mmap_lock.
        ptes: page-aligned address to the cell of its entry; an address that
            was never touched has no cell yet. page_table_lock, but gup-fast
            reads without it.
        pmds: huge-aligned address to the cell of the entry there, in areas that may
            have huge ones; one that is None leaves its block to ``ptes``.
        hpage_nr: how many pages a huge entry maps.
        mmap_lock: mmap_sem before v5.8. Faults and gup read, the rest writes.
        page_table_lock: one for the whole mm.
        notifiers: secondary MMUs that translate its pages; see `uemu.mm.notifier`.
        has_pinned: true once any page was pinned; never cleared again.
            Linux: mm->has_pinned (v5.9), MMF_HAS_PINNED after.
    Invariants:
        check_pte  a present entry lies inside a VMA and names a live page.
    """

    __slots__ = (
        "_extra",
        "_last_vma",
        "_sems",
        "gone",
        "has_pinned",
        "hpage_nr",
        "hpage_size",
        "id",
        "mmap_lock",
        "name",
        "next_addr",
        "notifiers",
        "page_table_lock",
        "pmds",
        "ptes",
        "vmas",
    )

    def __init__(
        self, id: MmId, name: str, rwsem: type[RwSem] = RwSem, hpage_nr: int = HPAGE_NR
    ) -> None:
        self.id = id
        self.name = name
        self.vmas: list[Vma] = []
        self._last_vma: Vma | None = None
        self.ptes: dict[int, Cell[AnyPte]] = {}
        self.pmds: dict[int, Cell[AnyPte]] = {}
        self.hpage_nr = hpage_nr
        self.hpage_size = hpage_nr * PAGE_SIZE
        self.mmap_lock = rwsem(("mmap_lock", id))
        self.page_table_lock = SpinLock(("page_table_lock", id))
        self.has_pinned: Cell[bool] = Cell(("has_pinned", id), False)
        self.next_addr = MMAP_BASE
        self.notifiers: tuple[MmuNotifier, ...] = ()
        self.gone = False
        self._extra: dict[str, Cell[int]] = {}
        self._sems: dict[str, FairRwSem] = {}

    def pte(self, base: int) -> Cell[AnyPte]:
        """The cell of the entry for ``base`` (page-aligned, bytes)."""
        cell = self.ptes.get(base)
        if cell is None:
            cell = self.ptes[base] = Cell(("pte", self.id, base), None)
        return cell

    def next_huge_addr(self) -> int:
        """Where the next mapping goes, if it may have huge entries."""
        return -(-self.next_addr // self.hpage_size) * self.hpage_size

    def pmd(self, base: int) -> Cell[AnyPte]:
        """The cell of the huge entry for ``base`` (huge-aligned, bytes)."""
        cell = self.pmds.get(base)
        if cell is None:
            cell = self.pmds[base] = Cell(("pmd", self.id, base), None)
        return cell

    def pmd_over(self, base: int) -> Cell[AnyPte] | None:
        """The cell of the huge entry whose block has ``base``, if it may have one."""
        return self.pmds.get(base - base % self.hpage_size) if self.pmds else None

    def walk(self, cpu: Cpu, base: int) -> AnyPte:
        """The entry that maps the page at ``base``, be it part of a huge one.

        What an MMU does, and whoever does not care how a page is mapped.
        """
        cell = self.pmd_over(base)
        if cell is not None:
            pmd = cpu.read(cell)
            if pmd is not None:
                return self._part(pmd, base)
        return cpu.read(self.pte(base))

    def shows(self, base: int) -> AnyPte:
        """What `walk` would find; for ``enabled`` conditions, checks, drawings."""
        cell = self.pmd_over(base)
        pmd = cell.peek() if cell is not None else None
        if pmd is not None:
            return self._part(pmd, base)
        found = self.ptes.get(base)
        return found.peek() if found is not None else None

    def _part(self, pmd: AnyPte, base: int) -> AnyPte:
        return pmd.sub(base % self.hpage_size // PAGE_SIZE) if isinstance(pmd, Pte) else pmd

    def entries(self) -> Iterator[tuple[int, AnyPte]]:
        """Each page that has an entry now, and the entry; a huge one page by page."""
        for base, cell in self.pmds.items():
            if isinstance(pmd := cell.peek(), Pte):
                for i in range(pmd.nr):
                    yield base + i * PAGE_SIZE, pmd.sub(i)
        for base, cell in self.ptes.items():
            yield base, cell.peek()

    def sem(self, name: str) -> FairRwSem:
        """An rwsem that one policy adds to every mm (``"directio_sem"``)."""
        sem = self._sems.get(name)
        if sem is None:
            sem = self._sems[name] = FairRwSem((name, self.id))
        return sem

    def extra(self, name: str) -> Cell[int]:
        """A word that one policy adds to every mm (``"write_protect_seq"``), 0 at first."""
        cell = self._extra.get(name)
        if cell is None:
            cell = self._extra[name] = Cell((name, self.id), 0)
        return cell

    def find_vma(self, addr: int) -> Vma | None:
        """The VMA that contains ``addr``, if any; the last one found is tried first."""
        last = self._last_vma
        if last is not None and last.vm_start <= addr < last.vm_end:
            return last
        i = bisect.bisect_right(self.vmas, addr, key=lambda vma: vma.vm_start) - 1
        if i >= 0 and addr < self.vmas[i].vm_end:
            self._last_vma = self.vmas[i]
            return self.vmas[i]
        return None

    def remove_vma(self, vma: Vma) -> None:
        """Take a VMA out."""
        self.vmas.remove(vma)
        self._last_vma = None

    def insert_vma(self, vma: Vma) -> None:
        """Add a VMA that overlaps no other."""
        bisect.insort(self.vmas, vma, key=lambda v: v.vm_start)
        if vma.may_be_huge():
            size = self.hpage_size
            first = -(-vma.vm_start // size) * size
            for base in range(first, vma.vm_end - size + 1, size):
                self.pmd(base)

    def split_at(self, addr: int) -> None:
        """Make ``addr`` a boundary between VMAs. Linux: split_vma()."""
        vma = self.find_vma(addr)
        if vma is not None and vma.vm_start < addr:
            upper = vma.copy()
            if vma.vm_file is not None:
                upper.vm_pgoff = vma.pgoff(addr)
            vma.vm_end = upper.vm_start = addr
            self.insert_vma(upper)

    def cuts_hugetlb(self, start: int, end: int) -> bool:
        """Whether ``[start, end)`` begins or ends within a huge page of hugetlb."""
        if not self.pmds:
            return False
        for addr in (start, end):
            vma = self.find_vma(addr)
            if vma is not None and vma.is_hugetlb() and addr % self.hpage_size:
                return True
        return False

    def cuts_huge_entry(self, start: int, end: int) -> bool:
        """Whether ``[start, end)`` begins or ends within what one huge entry maps now."""
        return any(
            addr % self.hpage_size and (cell := self.pmd_over(addr)) is not None and cell.peek()
            for addr in (start, end)
        )

    def vmas_in(self, start: int, end: int) -> list[Vma]:
        """The VMAs that lie inside ``[start, end)`` once it is split at both ends."""
        self.split_at(start)
        self.split_at(end)
        return [vma for vma in self.vmas if start <= vma.vm_start and vma.vm_end <= end]

    def covers(self, start: int, end: int) -> bool:
        """Whether ``[start, end)`` is mapped without a hole."""
        while start < end:
            vma = self.find_vma(start)
            if vma is None:
                return False
            start = vma.vm_end
        return True

    def bases_in(self, start: int, end: int) -> list[int]:
        """The addresses in ``[start, end)`` that have an entry now, ascending."""
        if (end - start) // PAGE_SIZE < len(self.ptes):
            inside = (b for b in range(start, end, PAGE_SIZE) if b in self.ptes)
        else:
            inside = (b for b in sorted(self.ptes) if start <= b < end)
        return [base for base in inside if self.ptes[base].peek() is not None]

    def __repr__(self) -> str:
        return f"<mm {self.id} {self.name}>"
