"""Reclaim wants a page that a virtual machine uses.

KVM has a translation of the page, in page tables of its own, and in 2009 a reference
as long as that lasts. No PTE tells of it. So whoever unmaps the page calls the MMU
notifier: the translation goes, and the reference with it. The guest's next access
faults, and get_user_pages() finds the page wherever it is by then.

The guest used the page once before, and reclaim has seen that: it is not young any
more when the threads begin.

Rule: the notifier runs once the page cannot be found by its entry any more; what
comes back before that comes back to the old page.
Source: A. Arcangeli, quoted in document 004 ("All of them releases any pin after
mmu_notifier_invalidate_page"); Linux v2.6.29, mm/rmap.c:try_to_unmap_one,
virt/kvm/kvm_main.c:kvm_mmu_notifier_invalidate_page.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.mm.hooks import PolicyHooks
from uemu.scenario.actions import (
    AttachSecondary,
    SecondaryLoad,
    SecondaryStore,
    Signal,
    Store,
    SwapOut,
    WaitFor,
)
from uemu.scenario.script import LAST_SECTOR, Scenario, Script, Stage
from uemu.scenario.swapcache_false_cow import one_page


def attached(stage: Stage, kind: str) -> Script:
    """Map and fill one page, which a guest may use."""
    yield from one_page(stage)
    stage.ios["guest"] = yield AttachSecondary(stage.buf, PAGE_SIZE, kind)


def used(stage: Stage) -> Script:
    """The guest has used it, and reclaim has noticed."""
    yield from attached(stage, "kvm")
    yield SecondaryStore(stage.ios["guest"], LAST_SECTOR, b"G")
    yield SwapOut(stage.buf)


def guest(stage: Stage) -> Script:
    """Store once more; load what the parent stored."""
    yield SecondaryStore(stage.ios["guest"], LAST_SECTOR, b"H")
    yield WaitFor("stored")
    yield SecondaryLoad(stage.ios["guest"], 0, 1)


def cpu(stage: Stage) -> Script:
    """Store once reclaim has been there."""
    yield WaitFor("swapped out")
    yield Store(stage.buf, b"P")
    yield Signal("stored")


def kswapd(stage: Stage) -> Script:
    """Want the page."""
    yield SwapOut(stage.buf)
    yield Signal("swapped out")


def without_notifiers(hooks: PolicyHooks) -> str | None:
    """Why nothing follows the page tables of its processes."""
    return None if hooks.has_mmu_notifier else "MMU notifiers are since Linux 2.6.27"


SCENARIO = Scenario(
    name="secondary-mmu-reclaim",
    summary="page of a virtual machine swapped out, guest stores, parent stores, guest loads; if a"
    " translation outlives the entry, the parent misses what the guest stores",
    setup=used,
    threads={"guest": guest, "cpu": cpu, "kswapd": kswapd},
    children={},
    order="kswapd guest cpu guest",
    not_applicable=without_notifiers,
)
