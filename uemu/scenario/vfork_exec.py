"""The way out: vfork and exec.

As `lost_read`, but the parent wants a program, not a copy of itself. A vfork
child runs in its parent's memory and not in a copy of it: no entry is copied,
none is write-protected, and what the child stores before it execs the parent
has, too.

Rule: there is no COW without fork.
Source: L. Torvalds, 2009-03-11 22:06 ("vfork+execve (which has none of the COW
issues)"), document 003; ground truth, case e3.
"""

from __future__ import annotations

from uemu.scenario.actions import Exec, Store, Vfork
from uemu.scenario.lost_read import cpu, io
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def fork(stage: Stage) -> Script:
    """Wait for a child that borrows the memory."""
    yield Vfork("child")


def child(stage: Stage) -> Script:
    """Store to the page, and leave it for another program."""
    yield Store(stage.buf + 1, b"C")
    yield Exec()


SCENARIO = Scenario(
    name="vfork-exec",
    summary="read submitted, vfork, child stores, child execs, parent stores, device writes; if"
    " anything of the memory were copied, the parent would miss its read",
    setup=map_and_fill,
    threads={"io": io, "fork": fork, "cpu": cpu},
    children={"child": child},
    order="io fork child child cpu io",
)
