"""clear_refs against a pin by gup-fast.

clear_refs leaves alone what is pinned, but it looks first and write-protects
afterwards, and gup-fast takes no lock. In the canonical order the pin is there
first; the rest is for an explorer.

Rule: who looks for pins must not be passed by a gup-fast that takes one.
Source: P. Xu and L. Torvalds, 2021-09-29, document 002 ("the pte_is_pinned()
case at least could do the seqlock in clear_soft_dirty()").
"""

from __future__ import annotations

from uemu.scenario.clear_refs_while_pinned import cpu, without_soft_dirty
from uemu.scenario.pin_vs_reclaim import io
from uemu.scenario.script import Scenario
from uemu.scenario.swapcache_false_cow import one_page

SCENARIO = Scenario(
    name="clear-refs-vs-gup-fast",
    summary="page registered while soft-dirty bits are cleared, parent stores, device writes; if"
    " clear_refs and a pin can miss each other, the parent misses what the device wrote",
    setup=one_page,
    threads={"io": io, "cpu": cpu},
    children={},
    order="io cpu cpu io io",
    not_applicable=without_soft_dirty,
)
