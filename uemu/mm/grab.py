"""Taking and giving back the references of get_user_pages. Linux: mm/gup.c:try_grab_page()."""

from __future__ import annotations

from uemu.abi import GUP_PIN_COUNTING_BIAS, Foll
from uemu.mm.mechanism import Mechanism
from uemu.mm.page import Page
from uemu.step import Cpu


def nr_refs(page: Page, foll: Foll) -> int:
    """What one hold adds to a page's refcount; 0 of what is translated and not held."""
    if not foll & (Foll.GET | Foll.PIN):
        return 0
    return GUP_PIN_COUNTING_BIAS if Foll.PIN in foll and page.pincount is None else 1


def gup_grab(mech: Mechanism, cpu: Cpu, page: Page, foll: Foll, nr: int = 1) -> None:
    """Hold a page with a get or a pin, or ``nr`` of its compound page at once.

    Linux: try_grab_page(), try_grab_folio(). Atomic: call inside a step.
    """
    mech.get_page(cpu, page, nr * nr_refs(page, foll))
    if Foll.PIN in foll and page.pincount is not None:
        cpu.count(page.pincount, nr)


def gup_release(mech: Mechanism, cpu: Cpu, page: Page, foll: Foll) -> None:
    """Drop what `gup_grab` took. Linux: gup_put_folio()."""
    if Foll.PIN in foll and page.pincount is not None:
        cpu.count(page.pincount, -1)
    mech.put_page(cpu, page, nr_refs(page, foll))
