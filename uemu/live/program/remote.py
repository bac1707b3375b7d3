"""process_vm_readv, process_vm_writev: the memory of another process.

The kernel takes references to its pages for as long as it copies. Under which
rules, and whether that parts pages which it shares, is for the policy to say;
what then is mapped there the kernel reads and writes itself.

Source: process_vm_readv(2); Linux v6.1, mm/process_vm_access.c:process_vm_rw_single_vec.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE, SYS_PROCESS_VM_WRITEV, Direction, page_range
from uemu.errors import Fault
from uemu.host.tracee import Stop
from uemu.kernel import Kernel
from uemu.live.program.direct import DirectIo
from uemu.live.program.framing import Framing, can_act
from uemu.live.program.schedule import Schedule
from uemu.live.program.tasks import ProgramMm, Task
from uemu.live.program.tracees import Tracees
from uemu.step import run


class Remote:
    """Prepares pages that another process is about to read or write."""

    def __init__(
        self,
        kernel: Kernel,
        tracees: Tracees,
        framing: Framing,
        direct: DirectIo,
        schedule: Schedule,
    ) -> None:
        self._kernel = kernel
        self._tracees = tracees
        self._framing = framing
        self._direct = direct
        self._schedule = schedule

    def enters(self, task: Task, stop: Stop) -> None:
        """A task stands at such a call."""
        tid = stop.args[0] & 0xFFFF_FFFF
        tasks = self._tracees.tasks.values()
        other = next((each.mm for each in tasks if tid in (each.tid, each.pid)), None)
        if other is None or not other.has_frames():
            return
        write = stop.nr == SYS_PROCESS_VM_WRITEV
        pieces = self._direct.pieces(task, stop.args[3], stop.args[4])
        bases = [
            base
            for addr, length in pieces
            for base in page_range(addr, length)
            if self._framing.pte(other, base) is not None
        ]
        if not bases:
            return
        frozen = self._tracees.freeze([other], task)
        try:
            actor = task if other is task.mm else next(filter(can_act, other.tasks), None)
            if actor is not None:
                for base in dict.fromkeys(bases):
                    self._touch(task, other, actor, base, write=write)
        finally:
            self._tracees.thaw(frozen)

    def _touch(self, task: Task, mm: ProgramMm, actor: Task, base: int, *, write: bool) -> None:
        """Take a reference to a page, and give it back: what it may part is parted then."""
        io, before = self._kernel.io, self._framing.pte(mm, base)
        direction = Direction.FROM_DEVICE if write else Direction.TO_DEVICE
        pages = [(base, PAGE_SIZE)]
        try:
            transfer = run(io.dio_submit(task.cpu, mm.mm, pages, direction, "process_vm"))
        except Fault:
            # What it may not access, the kernel refuses.
            return
        finally:
            self._framing.sync(mm, actor)
        run(io.dio_complete(task.cpu, transfer))
        after = self._framing.pte(mm, base)
        if before is not None and after is not None and (write or after.pfn != before.pfn):
            self._schedule.wrote(mm, base, before.pfn)
