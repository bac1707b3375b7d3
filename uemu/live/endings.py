"""How puppets end: exit, and being killed."""

from __future__ import annotations

from uemu.abi import SYS_EXIT, SYS_EXIT_GROUP
from uemu.host import native
from uemu.live.puppet import PuppetProcess, PuppetThread
from uemu.live.reports import Reports


def exit_process(reports: Reports, process: PuppetProcess, status: int) -> None:
    """exit_group(2); the address space ends when the process is reaped."""
    _leave(reports, process.leader, SYS_EXIT_GROUP, status)


def exit_thread(reports: Reports, thread: PuppetThread) -> None:
    """exit(2) of one thread; the last one ends the process."""
    _leave(reports, thread, SYS_EXIT, 0)


def _leave(reports: Reports, thread: PuppetThread, number: int, status: int) -> None:
    process, slot = thread.process, thread.slot
    slot.queue([(number, status, 0, 0, 0, 0, 0)])
    err = native.go(thread.tid, slot.calls, 0, reports.event)
    reports.take(reports.event, err)
    while thread.tid in process.threads and not process.is_gone():
        reports.take(reports.event, reports.wait())


def end_process(reports: Reports, process: PuppetProcess) -> None:
    """SIGKILL, and wait until it is gone."""
    if not process.is_gone() and native.kill(process.pid):
        reports.bury(process, "was reaped by another part of this program")
    while process.death is None:
        reports.take(reports.event, reports.wait())
