"""The owner of registered memory forks and exits; the device goes on.

exit(2) tears the address space down before it closes files, and the child
has the device's file, too: the registration outlives the process that made
it. The device writes the frames it holds. Where fork shared them, they are
the child's private memory by now. (A read(2) or an AIO request cannot be left
behind like this: its process waits for it before the address space goes.)

Rule: fork must not share a frame that a device may write, whatever becomes of
its owner.
Source: document 003, L. Torvalds, 2009-03-11 20:19 ("the original allocator
actually unmaps it (or exits) [...] the child seeing changes even though the
IO was started in the parent"), B. Herrenschmidt, 2009-03-14 05:06, on RDMA;
Linux kernel/exit.c:do_exit, exit_mm before exit_files.
"""

from __future__ import annotations

from uemu.scenario.actions import (
    DeviceStores,
    Exit,
    Fork,
    Load,
    Register,
    Release,
    Signal,
    WaitFor,
)
from uemu.scenario.gup_fast_vs_fork import one_page
from uemu.scenario.script import LAST_SECTOR, SECTOR, Scenario, Script, Stage


def io(stage: Stage) -> Script:
    """Register the end of the page, fork and exit."""
    stage.ios["memory"] = yield Register(stage.buf + LAST_SECTOR, SECTOR, writable=True, api="rdma")
    yield Fork("child")
    yield Exit()
    yield Signal("parent is gone")


def child(stage: Stage) -> Script:
    """Let the device write, look at the end of the page, and close the device's file."""
    yield WaitFor("parent is gone")
    yield DeviceStores(stage.ios["memory"], 0, b"D" * SECTOR)
    yield Load(stage.buf + LAST_SECTOR, SECTOR)
    yield Release(stage.ios["memory"])


SCENARIO = Scenario(
    name="exit-in-flight",
    summary="memory registered, fork, parent exits, device writes; if fork shared the frame that"
    " the device holds, the child sees what was meant for a process that is gone",
    setup=one_page,
    threads={"io": io},
    children={"child": child},
    order="io io io child child child",
)
