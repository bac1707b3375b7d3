"""KSM finds the page that a device is writing equal to another.

Two pages have the same bytes, and a disk read is in flight into one of them.
Merged, the device would write a page that two see, and the parent's store
would leave it.

Rule: what is held is not merged; and the references are counted once nobody
can take one any more.
Source: A. Arcangeli, 2009-03-16 13:56, document 003; Linux mm/ksm.c:
write_protect_page; ground truth, case k1.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.mm.hooks import PolicyHooks
from uemu.scenario.actions import KsmMerge
from uemu.scenario.lost_read import cpu, io
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def ksmd(stage: Stage) -> Script:
    """Find the two pages equal."""
    yield KsmMerge(stage.buf, stage.buf + PAGE_SIZE)


def without_ksm(hooks: PolicyHooks) -> str | None:
    """Why nothing is merged."""
    return None if hooks.has_ksm else "there is no KSM before v2.6.32"


SCENARIO = Scenario(
    name="ksm-merge-pinned",
    summary="read submitted, KSM finds the page equal to another, parent stores, device writes; if"
    " a held page is merged, the parent misses its read",
    setup=map_and_fill,
    threads={"io": io, "cpu": cpu, "ksmd": ksmd},
    children={},
    order="io ksmd cpu io",
    not_applicable=without_ksm,
)
