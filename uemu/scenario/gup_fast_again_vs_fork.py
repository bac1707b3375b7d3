"""get_user_pages_fast() against fork, on a page that was read into before.

As `gup_fast_vs_fork`, but the buffer has been used for a direct read already, as
those of a database are again and again. Whatever a kernel marks a page with is
there from the first read; where gup-fast refuses what has no mark, it is now
that it runs.

Rule: of gup-fast and fork, whoever comes second must see the other, also where
a mark is old.
Source: Message-ID <20090313193416.GG27823@random.random> (A. Arcangeli,
2009-03-13 19:34: "you most certainly have one"), Message-ID
<200903170301.43091.nickpiggin@yahoo.com.au> (N. Piggin, 2009-03-16 16:01:
"it can't possibly be COWed by fork"), document 003.
"""

from __future__ import annotations

from uemu.scenario.gup_fast_vs_fork import fork
from uemu.scenario.lost_read import io
from uemu.scenario.script import (
    LAST_SECTOR,
    SECTOR,
    Scenario,
    Script,
    Stage,
    map_and_fill,
    read_disk,
)


def read_before(stage: Stage) -> Script:
    """Map and fill one page, and read into its end for the first time."""
    yield from map_and_fill(stage, nr_pages=1)
    yield from read_disk(stage.buf + LAST_SECTOR, b"E" * SECTOR)


SCENARIO = Scenario(
    name="gup-fast-again-vs-fork",
    summary="a read long over, another one submitted into the same place while another thread"
    " forks and stores, device writes; if fork and gup-fast can miss each other, the parent"
    " misses its read",
    setup=read_before,
    threads={"io": io, "fork": fork},
    children={},
    order="io fork fork io",
)
