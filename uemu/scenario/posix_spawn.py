"""The way out that a library offers: posix_spawn.

As `vfork_exec`, in one call. C libraries make the child with CLONE_VM and
CLONE_VFORK, so it is no fork either.

Rule: there is no COW without fork.
Source: posix_spawn(3); L. Torvalds, 2009-03-11 22:06, document 003, of vfork
and exec; ground truth, case e4.
"""

from __future__ import annotations

from uemu.scenario.actions import Spawn
from uemu.scenario.lost_read import cpu, io
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def fork(stage: Stage) -> Script:
    """Start a program."""
    yield Spawn()


SCENARIO = Scenario(
    name="posix-spawn",
    summary="read submitted, posix_spawn, parent stores, device writes; if anything of the memory"
    " were copied, the parent would miss its read",
    setup=map_and_fill,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={},
    order="io fork cpu io",
)
