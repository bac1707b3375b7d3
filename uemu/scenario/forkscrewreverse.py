"""forkscrewreverse: the reverse race over a large buffer.

As `reverse_race`, as the test program has it: the buffer is 40 MiB, 10240
pages, the write begins once the child is there, then the parent stores to all
of it, then the child. What is wrong is wrong for every page; what it costs to
do right is one copy for each, in gup or in a write fault, or two.

Rule: as in `reverse_race`.
Source: forkscrewreverse.c in Message-ID <20090316135654.GA17949@random.random>
(A. Arcangeli, 2009-03-16), document 003.
"""

from __future__ import annotations

from functools import partial

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Complete, DirectWrite, Store, WaitFor
from uemu.scenario.reverse_race import fork
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill

SIZES = (1, 65)
"""One page, whose every order can be searched, and one call of get_user_pages more."""


def io(stage: Stage, nr_pages: int) -> Script:
    """Write the buffer to the disk, once the child is there."""
    yield WaitFor("forked")
    write = yield DirectWrite(stage.buf, nr_pages * PAGE_SIZE)
    yield Complete(write)


def stores(stage: Stage, nr_pages: int, byte: bytes) -> Script:
    """Store to all of the buffer."""
    yield Store(stage.buf, byte * (nr_pages * PAGE_SIZE))


def at(nr_pages: int) -> Scenario:
    """The scenario with so many pages."""
    return Scenario(
        name="forkscrewreverse",
        summary="fork, write of the shared buffer submitted, parent stores to all of it, child"
        " stores to all of it, device reads; if COW is neither broken at once nor on account of the"
        " reference, the device receives the child's bytes",
        setup=partial(map_and_fill, nr_pages=nr_pages),
        threads={
            "io": partial(io, nr_pages=nr_pages),
            "fork": fork,
            "cpu": partial(stores, nr_pages=nr_pages, byte=b"P"),
        },
        children={"child": partial(stores, nr_pages=nr_pages, byte=b"C")},
        order="fork io cpu child io",
        sizes=SIZES,
        at=at,
    )


SCENARIO = at(SIZES[0])
