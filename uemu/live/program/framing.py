"""Which pages of real programs are frames: those that are pinned, and where they stay shared.

A page becomes a frame when it is first pinned and goes back to the program
when it is neither held by a device nor shared. Both happen with all threads
of its address space stopped, since its bytes move.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Container, Iterable, Iterator, Sequence

from uemu.abi import (
    MADV_DONTFORK,
    MADV_WIPEONFORK,
    MAP_FIXED,
    MAP_NORESERVE,
    PAGE_MASK,
    PAGE_SIZE,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    SYS_MADVISE,
    SYS_MMAP,
    SYS_MPROTECT,
    SYS_MUNMAP,
    SYS_RSEQ,
    page_range,
)
from uemu.errors import Fault
from uemu.events import Stored
from uemu.host import native, procfs, tracee
from uemu.kernel import Kernel
from uemu.live.program.loader import Loader
from uemu.live.program.result import Stats
from uemu.live.program.segv_action import SegvAction
from uemu.live.program.tasks import ProgramMm, Task
from uemu.live.program.tracees import TaskGone, Tracees
from uemu.live.program.window import WindowMmu
from uemu.mm.pte import Pte
from uemu.mm.vma import Vm, Vma
from uemu.step import run

RW = PROT_READ | PROT_WRITE
ANONYMOUS = 0x02 | 0x20 | MAP_FIXED | MAP_NORESERVE
RSEQ_FLAG_UNREGISTER = 1
NO_FD = (1 << 64) - 1

Run = tuple[int, int]
"""Whole pages: first address and the one behind the last."""


def runs_of(bases: Iterable[int]) -> Iterator[Run]:
    """Ascending page addresses as runs of neighbours."""
    start = end = -1
    for base in bases:
        if base != end:
            if end > start:
                yield start, end
            start = base
        end = base + PAGE_SIZE
    if end > start:
        yield start, end


def gaps_of(bases: Iterable[int], start: int, end: int) -> Iterator[Run]:
    """What lies between ascending page addresses of a range, as runs."""
    at = start
    for base in bases:
        if at < base:
            yield at, base
        at = base + PAGE_SIZE
    if at < end:
        yield at, end


def merge(many: Iterable[list[Run]]) -> Iterator[Run]:
    """Runs of several address spaces as disjoint ones."""
    start = end = 0
    for first, last in sorted(pair for runs in many for pair in runs):
        if first > end:
            if end:
                yield start, end
            start = first
        end = max(end, last)
    if end:
        yield start, end


class Framing:
    """Adopts pages, gives them back, and keeps real mappings as the page tables say.

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

    def _changed(self, mm: ProgramMm) -> None:
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
            self._changed(mm)

    # Looking -------------------------------------------------------------------------------

    def pte(self, mm: ProgramMm, base: int) -> Pte | None:
        """The entry of a framed page, or None: it is not framed."""
        cell = mm.mm.ptes.get(base)
        pte = cell.peek() if cell is not None else None
        return pte if isinstance(pte, Pte) else None

    def can_pin(self, mm: ProgramMm, addr: int, length: int, *, write: bool) -> bool:
        """Whether all of a buffer is private memory that the program itself may access so.

        What can be executed is not: text, and the vDSO, stay where they are.
        """
        want = PROT_WRITE if write else PROT_READ
        at, end = addr & PAGE_MASK, addr + length
        while at < end:
            vma = mm.mm.find_vma(at)
            if vma is not None:
                if not vma.vm_flags & (Vm.WRITE if write else Vm.READ):
                    return False
                at = vma.vm_end
                continue
            real = mm.memory.vma_at(at)
            if real is None or real.shared or not real.prot & want or real.prot & PROT_EXEC:
                return False
            inside = [v.vm_start for v in mm.mm.vmas if at < v.vm_start < real.end]
            at = min([real.end, *inside])
        return True

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

    # Adopting ------------------------------------------------------------------------------

    def adopt(self, task: Task, buffers: Sequence[tuple[int, int]], *, write: bool) -> None:
        """Make frames of the pages of buffers that `can_pin`, where they are none yet.

        Raises:
            Fault: EFAULT, another thread changed a mapping since that was asked.
        """
        mm = task.mm
        wanted = {base for addr, length in buffers for base in page_range(addr, length)}
        bases = sorted(base for base in wanted if self.pte(mm, base) is None)
        if not bases:
            return
        relatives = [other for other in self.mms if other is not mm and other.family == mm.family]
        frozen = self._tracees.freeze([mm], task)
        actors = {id(mm): task}
        try:
            for addr, length in buffers:
                if not self.can_pin(mm, addr, length, write=write):
                    raise Fault(errno.EFAULT, addr, "a buffer that was mapped")
            self._leave_rseq(mm, task, bases)
            runs = [(start, *self._content(mm, start, end)) for start, end in runs_of(bases)]
            for start, flags, data in runs:
                self._adopt_run(task, start, flags, data, relatives, frozen, actors)
            for other in [mm, *relatives]:
                if id(other) in actors:
                    with contextlib.suppress(*(() if other is mm else (TaskGone,))):
                        if len(actors) > 1:
                            self.watch_writers(other, actors[id(other)])
                        self.sync(other, actors[id(other)])
                    self._changed(other)
        finally:
            self._tracees.thaw(frozen)

    def _content(self, mm: ProgramMm, start: int, end: int) -> tuple[tuple[int, ...], bytes]:
        """The flags and the bytes of pages, all of which are there: none are behind a file's end.

        Raises:
            Fault: EFAULT, one is not.
        """
        flags = mm.memory.pages(start, (end - start) // PAGE_SIZE)
        try:
            data = mm.memory.read(start, end - start)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            raise Fault(errno.EFAULT, start, "a page to adopt") from None
        if not data:
            raise TaskGone
        if len(data) < end - start:
            raise Fault(errno.EFAULT, start + len(data), "a page to adopt")
        return flags, data

    def _adopt_run(
        self,
        task: Task,
        start: int,
        flags: tuple[int, ...],
        data: bytes,
        relatives: list[ProgramMm],
        frozen: list[Task],
        actors: dict[int, Task],
    ) -> None:
        mm, kernel = task.mm, self._kernel
        nr_pages, end = len(flags), start + len(data)
        self._cover(mm, start, end)
        shared = [start + i * PAGE_SIZE for i in range(nr_pages) if is_shared(flags[i])]
        sharers = self._sharers(task, shared, data, start, relatives, frozen, actors)
        for other, bases in sharers:
            for run_start, run_end in runs_of(bases):
                self._cover(other, run_start, run_end)
        for i in range(nr_pages):
            base = start + i * PAGE_SIZE
            page = data[i * PAGE_SIZE : (i + 1) * PAGE_SIZE]
            others = [other.mm for other, bases in sharers if base in bases]
            kernel.adopt(task.cpu, [mm.mm, *others], base, page)
        self._stats.pages_framed += nr_pages

    def _sharers(
        self,
        task: Task,
        bases: list[int],
        data: bytes,
        start: int,
        relatives: list[ProgramMm],
        frozen: list[Task],
        actors: dict[int, Task],
    ) -> list[tuple[ProgramMm, dict[int, None]]]:
        """Who else maps pages that an earlier fork shared.

        The relatives that have a page there which is not theirs alone, with
        the same bytes. Their page flags are read before their bytes.
        """
        found: list[tuple[ProgramMm, dict[int, None]]] = []
        for other in relatives if bases else ():
            if not other.is_emulated or not other.tasks:
                continue
            actor = actors.get(id(other)) or self._actor(other, task, frozen)
            if actor is None:
                continue
            actors[id(other)] = actor
            # Who dies meanwhile shares nothing any more.
            mine: dict[int, None] = {}
            with contextlib.suppress(OSError):
                mine = self._same_pages(other, bases, data, start)
            if mine:
                found.append((other, mine))
        return found

    def _same_pages(
        self, other: ProgramMm, bases: list[int], data: bytes, start: int
    ) -> dict[int, None]:
        """Those of ``bases`` that another address space shares with the one that has ``data``."""
        same: dict[int, None] = {}
        for run_start, run_end in runs_of(bases):
            flags = other.memory.pages(run_start, (run_end - run_start) // PAGE_SIZE)
            theirs = other.memory.read(run_start, run_end - run_start)
            for i, base in enumerate(range(run_start, run_end, PAGE_SIZE)):
                if not is_shared(flags[i]) or self.pte(other, base) is not None:
                    continue
                page = theirs[i * PAGE_SIZE : (i + 1) * PAGE_SIZE]
                if page == data[base - start : base - start + PAGE_SIZE]:
                    same[base] = None
        return same

    def _actor(self, mm: ProgramMm, but: Task, frozen: list[Task]) -> Task | None:
        """A stopped task of another address space in which calls can be made."""
        frozen += self._tracees.freeze([mm], but)
        return next((task for task in mm.tasks if can_act(task)), None)

    def _cover(self, mm: ProgramMm, start: int, end: int) -> None:
        """Tell the kernel of the mappings that pages to be adopted lie in."""
        at = start
        while at < end:
            known = mm.mm.find_vma(at)
            if known is not None:
                at = known.vm_end
                continue
            real = mm.memory.vma_at(at)
            if real is None:
                raise Fault(14, at, "a page to adopt")
            stop = min(real.end, end)
            flags = mm.memory.vm_flags(at) if mm.has_fork_advice else frozenset()
            self._kernel.cover(
                mm.mm, at, stop, real.prot, dontfork="dc" in flags, wipeonfork="wf" in flags
            )
            at = stop

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
        self._changed(mm)

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
        self._leave_rseq(mm, actor, mm.mm.ptes)
        actors = {task.pid: task for task in mm.tasks if can_act(task)} | {actor.pid: actor}
        for task in actors.values():
            self._loader.raise_stage(self._tracees, task, 2)
            self._segv.mark(task)

    def _leave_rseq(self, mm: ProgramMm, actor: Task, bases: Container[int]) -> None:
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


def is_shared(flags: int) -> bool:
    """A page of the process's that another process maps too."""
    return bool(flags & procfs.PRESENT) and not flags & (procfs.EXCLUSIVE | procfs.FILE_OR_SHARED)


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
