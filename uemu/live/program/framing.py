"""Which pages of real programs are frames: those that are pinned, and where they stay shared.

A page becomes a frame when it is first pinned (`adoption`) and goes back to the
program when it is neither held by a device nor shared. Both happen with all threads
of its address space stopped, since its bytes move.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from uemu.abi import (
    MADV_DONTFORK,
    MADV_WIPEONFORK,
    MAP_FIXED,
    MAP_NORESERVE,
    PAGE_MASK,
    PAGE_SIZE,
    PROT_READ,
    PROT_WRITE,
    SYS_MADVISE,
    SYS_MMAP,
    SYS_MPROTECT,
    SYS_MUNMAP,
    SYS_RSEQ,
    page_range,
)
from uemu.events import Stored
from uemu.host import native, tracee
from uemu.kernel import Kernel
from uemu.live.program.loader import Loader
from uemu.live.program.result import Stats
from uemu.live.program.runs import Run, merge, runs_of
from uemu.live.program.segv_action import SegvAction
from uemu.live.program.tasks import ProgramMm, Task
from uemu.live.program.tracees import Tracees
from uemu.live.program.window import WindowMmu
from uemu.mm.pte import Pte
from uemu.mm.vma import Vm, Vma
from uemu.step import run

RW = PROT_READ | PROT_WRITE
ANONYMOUS = 0x02 | 0x20 | MAP_FIXED | MAP_NORESERVE
RSEQ_FLAG_UNREGISTER = 1
NO_FD = (1 << 64) - 1


class Framing:
    """Gives pages back, and keeps real mappings as the page tables say.

    Attributes:
        mms: all address spaces.
    """

    def __init__(
        self,
        kernel: Kernel,
        mmu: WindowMmu,
        tracees: Tracees,
        loader: Loader,
        segv: SegvAction,
        stats: Stats,
    ) -> None:
        self._kernel = kernel
        self._mmu = mmu
        self._tracees = tracees
        self._loader = loader
        self._segv = segv
        self._stats = stats
        self.mms: list[ProgramMm] = []
        self._ranges: dict[int, list[Run]] = {}

    def changed(self, mm: ProgramMm) -> None:
        """Look at calls that change mappings where pages are framed now."""
        runs = [(vma.vm_start, vma.vm_end) for vma in mm.mm.vmas]
        if runs:
            self._ranges[mm.mm.id] = runs
        else:
            self._ranges.pop(mm.mm.id, None)
        self._tracees.ranges.set(list(merge(self._ranges.values())))

    def forget(self, mm: ProgramMm) -> None:
        """An address space is gone."""
        self.mms.remove(mm)
        self._ranges.pop(mm.mm.id, None)

    def note(self, mm: ProgramMm) -> None:
        """An address space begins, perhaps with frames."""
        self.mms.append(mm)
        if mm.has_frames():
            self.changed(mm)

    # Looking -------------------------------------------------------------------------------

    def pte(self, mm: ProgramMm, base: int) -> Pte | None:
        """The entry of a framed page, or None: it is not framed."""
        cell = mm.mm.ptes.get(base)
        pte = cell.peek() if cell is not None else None
        return pte if isinstance(pte, Pte) else None

    def bytes_of(self, pfn: int) -> bytes:
        """A frame's bytes."""
        return self._kernel.frames.read(pfn, 0, PAGE_SIZE)

    def say_what_changed(self, task: Task, base: int, pfn: int, before: bytes) -> None:
        """Announce a store that was watched: the only ones of a program that are seen."""
        after = self.bytes_of(pfn)
        changed = [i for i in range(PAGE_SIZE) if before[i] != after[i]]
        if changed:
            first, last = changed[0], changed[-1]
            data = after[first : last + 1]
            self._kernel.events.emit(Stored(task.cpu.name, task.mm.mm.id, base + first, pfn, data))

    # Giving back ---------------------------------------------------------------------------

    def idle(self, mm: ProgramMm, start: int = 0, end: int = 1 << 64) -> list[int]:
        """Framed pages that nobody shares, no device holds, and no transfer is for."""
        held, buffers = self._kernel.io.in_use(mm.mm)
        idle = []
        for base in mm.mm.bases_in(start, end):
            pte = self.pte(mm, base)
            if pte is None or pte.pfn in held or base in buffers:
                continue
            page = self._kernel.mech.pages[pte.pfn]
            if page.reserved or page.mapcount.peek() == 1:
                idle.append(base)
        return idle

    def unframe(self, task: Task, bases: list[int], mm: ProgramMm | None = None) -> None:
        """Give pages back to the program.

        Precondition: its other threads are stopped.
        """
        mm = mm or task.mm
        if not bases:
            return
        kernel = self._kernel
        for start, end in runs_of(bases):
            data = b"".join(self._bytes_at(mm, base) for base in range(start, end, PAGE_SIZE))
            vmas = [
                Vma(max(start, vma.vm_start), min(end, vma.vm_end), vma.vm_flags)
                for vma in mm.mm.vmas
                if vma.vm_start < end and vma.vm_end > start
            ]
            self._tracees.must_inject(
                task, [(SYS_MMAP, start, end - start, RW, ANONYMOUS, NO_FD, 0)]
            )
            mm.memory.write(start, data)
            after = [call for vma in vmas for call in _restore(vma)]
            if after:
                self._tracees.must_inject(task, after)
            kernel.disown(task.cpu, mm.mm, start, end)
            self._mmu.unmapped(mm.mm.id, start, end)
        self.changed(mm)

    def unmapped(self, mm: ProgramMm, start: int, end: int) -> None:
        """The program really unmapped that."""
        self._mmu.unmapped(mm.mm.id, start, end)
        self.changed(mm)

    def renew(self, task: Task, start: int, end: int, vmas: Iterable[Vma]) -> None:
        """Have fresh memory of the program's own where frames were.

        Precondition: its other threads are stopped.

        Args:
            vmas: what was mapped there.
        """
        calls: list[native.Call] = [(SYS_MMAP, start, end - start, RW, ANONYMOUS, NO_FD, 0)]
        for vma in vmas:
            if vma.vm_start < end and vma.vm_end > start:
                first, last = max(start, vma.vm_start), min(end, vma.vm_end)
                calls += _restore(Vma(first, last, vma.vm_flags))
        self._tracees.must_inject(task, calls)
        self.unmapped(task.mm, start, end)

    def replace(self, mm: ProgramMm, actor: Task, start: int, end: int) -> None:
        """Place frames anew: what is really mapped there is not what was placed."""
        self._mmu.not_applied(mm.mm, [(0, start, end - start, 0, 0, 0, 0)])
        self.sync(mm, actor)

    def _bytes_at(self, mm: ProgramMm, base: int) -> bytes:
        pte = self.pte(mm, base)
        if pte is None:
            return bytes(PAGE_SIZE)
        return self.bytes_of(pte.pfn)

    # Page tables ---------------------------------------------------------------------------

    def sync(self, mm: ProgramMm, actor: Task) -> None:
        """Make the real mappings agree with the page table."""
        calls = self._mmu.take_calls(mm.mm.id)
        if calls:
            self._tracees.must_inject(actor, calls)

    def watch_writers(self, mm: ProgramMm, actor: Task) -> None:
        """Look at all calls that write user memory, since pages are write-protected now.

        Precondition: its tasks are stopped, but for one in vfork, which is not watched.
        """
        self.leave_rseq(mm, actor, mm.mm.ptes)
        actors = {task.pid: task for task in mm.tasks if can_act(task)} | {actor.pid: actor}
        for task in actors.values():
            self._loader.raise_stage(self._tracees, task, 2)
            self._segv.mark(task)

    def leave_rseq(self, mm: ProgramMm, actor: Task, bases: Container[int]) -> None:
        """Let threads have no struct rseq in pages that are framed.

        The kernel stores to it whenever a thread goes on, and a thread that has it
        where it cannot be written never gets anywhere. Without it sched_getcpu(3)
        and its like ask the kernel, as they did before Linux 4.18.

        Precondition: the tasks are stopped, and may write there.
        """
        for task in {*mm.tasks, actor}:
            if not can_act(task) and task is not actor:
                continue
            rseq = tracee.rseq_of(task.tid)
            if rseq is not None and rseq[0] & PAGE_MASK in bases:
                area, size, signature = rseq
                call = (SYS_RSEQ, area, size, RSEQ_FLAG_UNREGISTER, signature, 0, 0)
                self._tracees.must_inject(task, [call])

    def fault(self, task: Task, addr: int, *, write: bool) -> None:
        """Run the kernel's fault handler for a framed page and apply what it did.

        Raises:
            Fault: the program may not access it so.
        """
        self._stats.faults += 1
        base = addr & PAGE_MASK
        before = self.pte(task.mm, base)
        run(self._kernel.fault(task.cpu, task.mm.mm, addr, write=write))
        self.sync(task.mm, task)
        after = self.pte(task.mm, base)
        if before is not None and after is not None and before.pfn != after.pfn:
            self._wake_waiters(task, base)

    def _wake_waiters(self, task: Task, base: int) -> None:
        """Let those wait anew who wait at a futex of a page that has another frame now.

        The kernel knows such a futex by its page, and who wakes them has the new one:

            waiter                     another thread
            FUTEX_WAIT at frame 1
                                       stores: frame 2 is there now
                                       FUTEX_WAKE at frame 2: nobody
        """
        for other, where in task.mm.waiting.items():
            if where == base and other is not task and other.stop is None:
                tracee.interrupt(other.tid)

    def break_cow(self, task: Task, ranges: Iterable[tuple[int, int]]) -> list[int]:
        """Make framed pages writable that the kernel is about to write for a task; which.

        What the program may not write stays, and the kernel will refuse it.
        """
        broken = []
        for addr, length in ranges:
            for base in self._bases(task.mm, addr, length):
                pte = self.pte(task.mm, base)
                vma = task.mm.mm.find_vma(base)
                if pte is not None and not pte.write and vma is not None and vma.writable():
                    self.fault(task, base, write=True)
                    broken.append(base)
        return broken

    def _bases(self, mm: ProgramMm, addr: int, length: int) -> Iterable[int]:
        if length <= 0 or not mm.has_frames():
            return ()
        pages = page_range(addr, length)
        if len(pages) > len(mm.mm.ptes):
            return [base for base in mm.mm.ptes if pages[0] <= base < addr + length]
        return pages

    def child_without(self, child: Task, vma: Vma) -> None:
        """Let a newborn have nothing, or zeros, where its parent asked for that."""
        length = vma.vm_end - vma.vm_start
        if vma.vm_flags & Vm.DONTCOPY:
            calls: list[native.Call] = [(SYS_MUNMAP, vma.vm_start, length, 0, 0, 0, 0)]
        else:
            calls = [
                (SYS_MMAP, vma.vm_start, length, RW, ANONYMOUS, NO_FD, 0),
                *_restore(Vma(vma.vm_start, vma.vm_end, vma.vm_flags)),
            ]
        self._tracees.must_inject(child, calls)
        self._mmu.unmapped(child.mm.mm.id, vma.vm_start, vma.vm_end)
        self._kernel.disown(child.cpu, child.mm.mm, vma.vm_start, vma.vm_end)


def can_act(task: Task) -> bool:
    """Whether calls can be made in a task where it is stopped."""
    stop = task.stop
    if task.held:
        return True
    if stop is None or stop.is_end:
        return False
    return stop.kind != native.EVENT or stop.code == native.EVENT_STOP


def _restore(vma: Vma) -> list[native.Call]:
    """What gives fresh memory the protection and the advice that was there before."""
    start, length = vma.vm_start, vma.vm_end - vma.vm_start
    calls: list[native.Call] = []
    if not vma.vm_flags & Vm.WRITE:
        prot = PROT_READ if vma.vm_flags & Vm.READ else 0
        calls.append((SYS_MPROTECT, start, length, prot, 0, 0, 0))
    if vma.vm_flags & Vm.DONTCOPY:
        calls.append((SYS_MADVISE, start, length, MADV_DONTFORK, 0, 0, 0))
    if vma.vm_flags & Vm.WIPEONFORK:
        calls.append((SYS_MADVISE, start, length, MADV_WIPEONFORK, 0, 0, 0))
    return calls
