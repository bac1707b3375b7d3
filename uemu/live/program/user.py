"""User memory as system calls find it: what the program itself may not access is EFAULT.

/proc/PID/mem, through which the bytes go, asks for no permission.
"""

from __future__ import annotations

import errno

from uemu.abi import PAGE_MASK, PROT_EXEC, PROT_READ, PROT_WRITE, USER_END
from uemu.errors import Fault
from uemu.live.program.framing import Framing
from uemu.live.program.tasks import ProgramMm, Task
from uemu.mm.vma import Vm

# What may be written can be read, on this machine.
READABLE = PROT_READ | PROT_WRITE | PROT_EXEC


def may_access(mm: ProgramMm, addr: int, length: int, *, write: bool) -> bool:
    """Whether the program may read, or write, all of a range."""
    at, end = addr & PAGE_MASK, addr + length
    while at < end:
        vma = mm.mm.find_vma(at)
        if vma is not None:
            if not vma.vm_flags & (Vm.WRITE if write else Vm.READ | Vm.WRITE):
                return False
            at = vma.vm_end
            continue
        real = mm.memory.vma_at(at) if at < USER_END else None
        if real is None or not real.prot & (PROT_WRITE if write else READABLE):
            return False
        inside = [v.vm_start for v in mm.mm.vmas if at < v.vm_start < real.end]
        at = min([real.end, *inside])
    return True


def copy_from_user(mm: ProgramMm, addr: int, length: int) -> bytes:
    """All bytes of a range.

    Raises:
        Fault: EFAULT, not all of it may be read.
    """
    if length == 0:
        return b""
    if may_access(mm, addr, length, write=False):
        try:
            data = mm.memory.read(addr, length)
        except OSError:
            data = b""
        if len(data) == length:
            return data
    raise Fault(errno.EFAULT, addr, "what a call reads")


def copy_to_user(framing: Framing, task: Task, addr: int, data: bytes) -> None:
    """Store bytes, in pages that are no longer shared then.

    Raises:
        Fault: EFAULT, not all of it may be written.
        TaskGone: it died.
    """
    if not may_access(task.mm, addr, len(data), write=True):
        raise Fault(errno.EFAULT, addr, "what a call writes")
    framing.break_cow(task, [(addr, len(data))])
    try:
        task.mm.memory.write(addr, data)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise Fault(errno.EFAULT, addr, "what a call writes") from None
