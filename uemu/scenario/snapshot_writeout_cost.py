"""What it costs to write a forked snapshot to a disk.

A database forks, and the child writes the memory that it has got, as of that
moment, with O_DIRECT. Nobody stores, so nothing need be copied: the disk may
read the frames that both map. A get_user_pages that breaks COW before it holds
a page copies every one of them, to throw the copies away.

Rule: none; it is the price of breaking COW in get_user_pages to read.
Source: L. Torvalds, 2009-03-23 16:46 ("maybe somebody does O_DIRECT writes on a
fork'ed image in order to create a snapshot image or something, and now the v2
thing breaks COW on all the pages"), document 003.
"""

from __future__ import annotations

from functools import partial

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Complete, DirectWrite
from uemu.scenario.lost_read import fork
from uemu.scenario.script import SIZES, Scenario, Script, Stage, map_and_fill


def child(stage: Stage, nr_pages: int) -> Script:
    """Write everything to the disk."""
    write = yield DirectWrite(stage.buf, nr_pages * PAGE_SIZE)
    yield Complete(write)


def at(nr_pages: int) -> Scenario:
    """The scenario with so many pages."""
    return Scenario(
        name="snapshot-writeout-cost",
        summary="fork, child writes all pages to a disk, device reads; if gup breaks COW to read,"
        " the child pays with a copy of every page",
        setup=partial(map_and_fill, nr_pages=nr_pages),
        threads={"fork": fork},
        children={"child": partial(child, nr_pages=nr_pages)},
        order="fork child child",
        sizes=SIZES,
        at=at,
    )


SCENARIO = at(SIZES[0])
