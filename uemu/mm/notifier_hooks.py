"""The questions about secondary MMUs: what they take, and when they are told.

The defaults are Linux 2.6.29's.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import ClassVar, Final


class Told(enum.Enum):
    """When who unmaps a page tells the secondary MMUs.

    Attributes:
        AFTER: once the entry is cleared and flushed: ptep_clear_flush_notify().
        BEFORE: before anything else is asked, and then no more.
        AROUND: invalidate_range_start() before the page table lock is taken, and
            invalidate_range_end() once it is given back.
    """

    AFTER = "after"
    BEFORE = "before"
    AROUND = "around"


@dataclass(frozen=True, slots=True)
class SecondaryUse:
    """How a secondary MMU takes the pages it translates.

    Attributes:
        fault_fn: what handles its faults.
        holds: whether a reference stays as long as the translation does.
        always_write: asks for write access even to read.
        fast: tries get_user_pages_fast() first.
        dirties: says that a page was written when it drops a writable translation.
    """

    fault_fn: str
    holds: bool
    always_write: bool
    fast: bool
    dirties: bool


SECONDARY_MMUS: Final = {
    "kvm": SecondaryUse("tdp_page_fault", True, True, True, True),
    "xpmem": SecondaryUse("xpmem_fault_handler", True, True, False, True),
    "gru": SecondaryUse("gru_try_dropin", False, False, True, False),
}
"""The secondary MMUs of 2009: "KVM does [take a page pin]. GRU doesn't. XPMEM does."

Source: A. Arcangeli, quoted in document 004. Linux: virt/kvm/kvm_main.c,
drivers/misc/sgi-gru/grufault.c; XPMEM was never merged.
"""

KVM_WITHOUT_REFERENCE: Final = replace(SECONDARY_MMUS["kvm"], holds=False, always_write=False)
"""KVM since v2.6.32: it has the page no longer than its fault lasts.

Since Linux kernel commit acb66dd051d0 ("KVM: MMU: dont hold pagecount reference for
mapped sptes pages"); it asks for what the guest does since v2.6.38.
"""


class NotifierHooks:
    """When secondary MMUs are told.

    Attributes:
        has_mmu_notifier: whether there are notifiers (since v2.6.27).
        unmap_tells: how reclaim and migration do it. Since Linux kernel commit
            369ea8242c0f ("mm/rmap: update to new mmu_notifier semantic v2", v4.13) by range.
        cow_tells_range: whether a write fault tells of a range around its change, since
            6bdb913f0a70 (v3.7), and not of the page.
        unmap_asks_young: whether reclaim asks once more, before it clears an entry,
            whether the page was used; not since 013339df116c ("mm/rmap: always do
            TTU_IGNORE_ACCESS", v5.11).
    """

    has_mmu_notifier: ClassVar[bool] = True
    unmap_tells: ClassVar[Told] = Told.AFTER
    cow_tells_range: ClassVar[bool] = False
    unmap_asks_young: ClassVar[bool] = True

    def secondary_use(self, kind: str) -> SecondaryUse:
        """How a secondary MMU of ``SECONDARY_MMUS`` takes pages."""
        return SECONDARY_MMUS[kind]
