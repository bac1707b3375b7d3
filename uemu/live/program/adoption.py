"""How pages of real programs become frames: when they are first pinned.

A page that an earlier fork shared becomes one frame of all who still share it.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Sequence

from uemu.abi import PAGE_MASK, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE, page_range
from uemu.errors import Fault
from uemu.host import procfs
from uemu.kernel import Kernel
from uemu.live.program.framing import Framing, can_act
from uemu.live.program.origins import Origin
from uemu.live.program.result import Stats
from uemu.live.program.runs import runs_of
from uemu.live.program.tasks import ProgramMm, Task
from uemu.live.program.tracees import TaskGone, Tracees
from uemu.mm.vma import Vm

IN_A_THP = (
    "a buffer lies in a transparent huge page: its pages are taken as small ones, of which the"
    " policy may decide otherwise (uemu explain thp-lost-read)"
)


class Adoption:
    """Adopts pages.

    Args:
        note: says, once, what is not as it would be.
    """

    def __init__(
        self,
        kernel: Kernel,
        tracees: Tracees,
        framing: Framing,
        stats: Stats,
        note: Callable[[str], None],
    ) -> None:
        self._kernel = kernel
        self._tracees = tracees
        self._framing = framing
        self._stats = stats
        self._note = note
        self._told_of_thp = False

    def can_pin(self, mm: ProgramMm, addr: int, length: int, *, write: bool) -> bool:
        """Whether all of a buffer is private memory that the program itself may access so.

        What can be executed is not: text, and the vDSO, stay where they are. Nor are
        pages of hugetlb, of which no part can be replaced.
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
            if real is None or real.shared or real.hugetlb:
                return False
            if not real.prot & want or real.prot & PROT_EXEC:
                return False
            inside = [v.vm_start for v in mm.mm.vmas if at < v.vm_start < real.end]
            at = min([real.end, *inside])
        return True

    def adopt(self, task: Task, buffers: Sequence[tuple[int, int]], *, write: bool) -> None:
        """Make frames of the pages of buffers that `can_pin`, where they are none yet.

        Raises:
            Fault: EFAULT, another thread changed a mapping since that was asked.
        """
        mm = task.mm
        mm.has_pinned = True
        wanted = {base for addr, length in buffers for base in page_range(addr, length)}
        bases = sorted(base for base in wanted if self._framing.pte(mm, base) is None)
        if not bases:
            return
        relatives = [
            other for other in self._framing.mms if other is not mm and other.family == mm.family
        ]
        frozen = self._tracees.freeze([mm], task)
        actors = {id(mm): task}
        try:
            for addr, length in buffers:
                if not self.can_pin(mm, addr, length, write=write):
                    raise Fault(errno.EFAULT, addr, "a buffer that was mapped")
            self._framing.leave_rseq(mm, task, bases)
            self._look_for_thp(mm, bases)
            runs = [(start, *self._content(mm, start, end)) for start, end in runs_of(bases)]
            for start, flags, data in runs:
                self._adopt_run(task, start, flags, data, relatives, frozen, actors)
            for other in [mm, *relatives]:
                if id(other) in actors:
                    with contextlib.suppress(*(() if other is mm else (TaskGone,))):
                        if len(actors) > 1:
                            self._framing.watch_writers(other, actors[id(other)])
                        self._framing.sync(other, actors[id(other)])
                    self._framing.changed(other)
        finally:
            self._tracees.thaw(frozen)

    def _look_for_thp(self, mm: ProgramMm, bases: Sequence[int]) -> None:
        """Say it of the first page that is a part of a transparent huge page."""
        if self._told_of_thp or not self._kernel.hooks.has_thp:
            return
        for start, end in runs_of(bases):
            if mm.memory.has_huge_entry(start, end):
                self._told_of_thp = True
                self._note(IN_A_THP)
                return

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
            with contextlib.suppress(OSError, Fault):
                same = self._same_pages(other, bases, data, start)
                for run_start, run_end in runs_of(same):
                    self._cover(other, run_start, run_end)
                mine = same
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
                if not is_shared(flags[i]) or self._framing.pte(other, base) is not None:
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
            mm.origins.note(Origin(real.start, real.end, mm.memory.name_at(at)))
            self._kernel.cover(
                mm.mm, at, stop, real.prot, dontfork="dc" in flags, wipeonfork="wf" in flags
            )
            at = stop


def is_shared(flags: int) -> bool:
    """A page of the process's that another process maps too."""
    return bool(flags & procfs.PRESENT) and not flags & (procfs.EXCLUSIVE | procfs.FILE_OR_SHARED)
