"""What one page held in a big area costs, when the process forks.

The parent has a large mapping and writes a single page of it to a disk. Who
protects pages one by one has one page to copy at fork, or none. Who protects
the area has them all.

Rule: none; it is the price of protecting areas instead of pages.
Source: A. Arcangeli, 2009-03-12 18:06 ("if an app has a 1G of vma loaded,
you'll allocate 1G of ram for no good reason. It can even OOM"), document 003.
"""

from __future__ import annotations

from functools import partial

from uemu.scenario.ro_pin_then_fork import fork, io
from uemu.scenario.script import SIZES, Scenario, map_and_fill


def at(nr_pages: int) -> Scenario:
    """The scenario with so many pages."""
    return Scenario(
        name="big-vma-cost",
        summary="write of one page of many submitted, fork, device reads; if the whole area is"
        " protected, the parent pays at fork with a copy of every page",
        setup=partial(map_and_fill, nr_pages=nr_pages),
        threads={"io": io, "fork": fork},
        children={},
        order="io fork io",
        sizes=SIZES,
        at=at,
    )


SCENARIO = at(SIZES[0])
