"""The questions about clear_refs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from uemu.step import Cpu, Op

if TYPE_CHECKING:
    from uemu.mm.mm_struct import MmStruct
    from uemu.mm.pte import Pte
    from uemu.mm.vma import Vma


class ClearRefsHooks:
    """What clear_refs does to an entry, and under which lock.

    Attributes:
        has_soft_dirty: whether there is such a thing (since v3.11).
        clear_refs_downgrades: mmap_lock is held for reading while entries are
            changed (up to v5.10).
    """

    has_soft_dirty: ClassVar[bool] = True
    clear_refs_downgrades: ClassVar[bool] = False

    def clear_refs_begin(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """Before the first entry."""
        return
        yield  # pragma: no cover

    def clear_refs_end(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """After the last."""
        return
        yield  # pragma: no cover

    def clear_refs_skips(self, cpu: Cpu, mm: MmStruct, vma: Vma, pte: Pte) -> bool:
        """Whether an entry is left as it is. Atomic: inside a step."""
        return False
