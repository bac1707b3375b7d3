"""The users' remedy: the buffer is shared memory, MAP_SHARED.

As `lost_read`, but parent and child share the memory on purpose. A page is
then the object's, nobody's store copies it, and the read arrives where it was
asked for. The child sees it arrive, which is what sharing means.

Rule: copy-on-write leaves shared mappings alone.
Source: ground truth, case e5; mm/memory.c:is_cow_mapping().
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Mmap, Store
from uemu.scenario.lost_read import child, cpu, fork, io
from uemu.scenario.script import Scenario, Script, Stage


def setup(stage: Stage) -> Script:
    """Map the buffer shared, and fill it."""
    stage.buf = yield Mmap(2 * PAGE_SIZE, shared=True)
    yield Store(stage.buf, b"I" * (2 * PAGE_SIZE))


SCENARIO = Scenario(
    name="map-shared",
    summary="MAP_SHARED, read submitted, fork, parent stores, child stores, device writes; if a"
    " store copies a page of shared memory, the parent misses its read",
    setup=setup,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork cpu child io",
)
