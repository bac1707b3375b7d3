"""What it costs to hold many pages at once, and nothing else happens.

A database reads into a large buffer, page by page its own, with no fork in
sight. What a kernel does in get_user_pages for the sake of forks to come it does
here, too, for each page: mark it, order the mark, look again.

Rule: none; it is the price of protecting pages where they are taken.
Source: N. Piggin, 2009-03-16 16:01 ("adding up to 63 atomics, 64 mfences [...]
per request"), against A. Arcangeli, 2009-03-16 13:56, document 003.
"""

from __future__ import annotations

from functools import partial

from uemu.abi import PAGE_SIZE
from uemu.scenario.script import SIZES, Scenario, Script, Stage, map_and_fill, read_disk


def io(stage: Stage, nr_pages: int) -> Script:
    """Read into all of the buffer."""
    yield from read_disk(stage.buf, b"D" * (nr_pages * PAGE_SIZE))


def at(nr_pages: int) -> Scenario:
    """The scenario with so many pages."""
    return Scenario(
        name="big-read-cost",
        summary="read of many pages submitted, device writes; if gup does something for every page"
        " that it holds, the parent pays for it without a fork",
        setup=partial(map_and_fill, nr_pages=nr_pages),
        threads={"io": partial(io, nr_pages=nr_pages)},
        children={},
        order="io io",
        sizes=SIZES,
        at=at,
    )


SCENARIO = at(SIZES[0])
