"""Two direct reads into one page, and a fork between them.

The test program dma_thread does this with ``-a 512``: neighbouring workers'
buffers meet in the middle of a page. Here the first reader has the last 512
bytes of the page and the second the first 512. After fork the second
reader's get_user_pages needs a writable page and breaks COW: no CPU stores
anything, and the first reader's frame is gone from the parent nevertheless.

Rule: as in `lost_read`; get_user_pages is a writer, too.
Source: dma_thread.c in Message-ID <20090316135654.GA17949@random.random>
(A. Arcangeli, 2009-03-16), document 003.
"""

from __future__ import annotations

from uemu.scenario.lost_read import fork
from uemu.scenario.script import (
    LAST_SECTOR,
    SECTOR,
    Scenario,
    Script,
    Stage,
    map_and_fill,
    read_disk,
)


def first(stage: Stage) -> Script:
    """Read into the end of the page."""
    yield from read_disk(stage.buf + LAST_SECTOR, b"D" * SECTOR)


def second(stage: Stage) -> Script:
    """Read into the beginning of the page."""
    yield from read_disk(stage.buf, b"E" * SECTOR)


SCENARIO = Scenario(
    name="two-readers-one-page",
    summary="first read submitted, fork, second read submitted into the same page, device writes"
    " both; if breaking COW moves the parent off the first frame, the first reader misses its read",
    setup=map_and_fill,
    threads={"first": first, "second": second, "fork": fork},
    children={},
    order="first fork second first second",
)
