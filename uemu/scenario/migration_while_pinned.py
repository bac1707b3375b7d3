"""The kernel wants to move the page that a device is writing.

Memory is compacted, or a node goes away: a page is copied to another frame and
its entries follow. A device does not follow.

Rule: what is held does not move.
Source: Linux v2.6.29, mm/migrate.c:migrate_page_move_mapping; document 001, the
cover letter of the series of 2022.
"""

from __future__ import annotations

from uemu.scenario.actions import Migrate
from uemu.scenario.lost_read import cpu, io
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def kcompactd(stage: Stage) -> Script:
    """Want to move the page."""
    yield Migrate(stage.buf)


SCENARIO = Scenario(
    name="migration-while-pinned",
    summary="read submitted, page migrated, parent stores, device writes; if a held page moves, the"
    " parent misses its read",
    setup=map_and_fill,
    threads={"io": io, "cpu": cpu, "kcompactd": kcompactd},
    children={},
    order="io kcompactd cpu io",
)
