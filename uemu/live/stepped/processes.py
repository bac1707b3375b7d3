"""The real processes of a replay: one for each address space, one for each CPU that runs it.

The one for an address space is a real fork of the process whose thread
forked; nobody runs in it, and what the address space shows is looked at from
there. The one for a CPU is a real fork of that one.
"""

from __future__ import annotations

from typing import NamedTuple

from uemu.errors import Fault, HostError, ProcessDied
from uemu.events import MmId
from uemu.live.endings import end_process, exit_process
from uemu.live.newborn import Newborns
from uemu.live.puppet import PuppetProcess, PuppetThread
from uemu.live.reports import Reports
from uemu.live.stepped.tlb import RealTlbs
from uemu.mm.mm_struct import MMAP_BASE, MMAP_END, MmStruct
from uemu.step import Cpu


class TookPart(NamedTuple):
    """A real process that took part, for reports.

    Attributes:
        mm: the address space it is of.
        space: what people call that: ``parent``.
        cpu: whose TLB its mappings are; "" for the one that only looks.
        pid: its process id.
        parent: that of the process that forked it; 0: none of them did.
    """

    mm: MmId
    space: str
    cpu: str
    pid: int
    parent: int


class Processes:
    """Real processes by what they stand for.

    Attributes:
        took_part: all there were, in the order of their births.
    """

    def __init__(self, reports: Reports, newborns: Newborns, tlbs: RealTlbs) -> None:
        self.took_part: list[TookPart] = []
        self._reports = reports
        self._newborns = newborns
        self._tlbs = tlbs
        self._spaces: dict[MmId, PuppetProcess] = {}
        self._cpus: dict[Cpu, PuppetProcess] = {}
        self._leaving: set[MmId] = set()

    def begin(self, mm: MmStruct, forked_by: Cpu | None) -> None:
        """Start the process of an address space: forked really, or the first one.

        Raises:
            HostError: this machine cannot start one more.
            ProcessDied: somebody killed the one that forks.
        """
        if forked_by is not None:
            self._spaces[mm.id] = self._fork(self.of_cpu(forked_by), mm, "")
            return
        process = self._newborns.enter(self._newborns.spawn(), mm.name, mm)
        self._spaces[mm.id] = process
        self.took_part.append(TookPart(mm.id, mm.name, "", process.pid, 0))

    def run_on(self, cpu: Cpu, mm: MmStruct) -> None:
        """Start the process of a CPU that runs ``mm``; it has touched nothing yet."""
        self._cpus[cpu] = self._fork(self.of_space(mm), mm, cpu.name)

    def _fork(self, forker: PuppetThread, mm: MmStruct, cpu: str) -> PuppetProcess:
        try:
            newborn = self._newborns.fork(forker, [])
        except Fault as refused:
            # Not a value of the experiment: the emulated fork went well.
            raise HostError("fork a puppet", str(refused), "Raise `ulimit -u`.") from refused
        process = self._newborns.enter(newborn, cpu or mm.name, mm)
        self.took_part.append(TookPart(mm.id, mm.name, cpu, process.pid, forker.process.pid))
        # A new address space, and a CPU that comes to one, know no translations.
        self._tlbs.drop(process.leader, MMAP_BASE, MMAP_END)
        return process

    def of_cpu(self, cpu: Cpu) -> PuppetThread:
        """Who executes the instructions of a CPU.

        Raises:
            ProcessDied: somebody killed it.
        """
        return self._living(self._cpus[cpu])

    def of_space(self, mm: MmStruct) -> PuppetThread:
        """Who looks at what an address space shows.

        Raises:
            ProcessDied: somebody killed it.
        """
        return self._living(self._spaces[mm.id])

    def _living(self, process: PuppetProcess) -> PuppetThread:
        if process.death is not None:
            raise ProcessDied(process.pid, process.death, "an earlier step")
        return process.leader

    def exit(self, mm: MmId) -> None:
        """exit_group(2) of all processes of an address space.

        One that has a living child goes when that has gone: the child of a
        process that is gone is init's, and not every container's init reaps.
        """
        del self._spaces[mm]
        for cpu in [cpu for cpu, process in self._cpus.items() if process.mm.id == mm]:
            del self._cpus[cpu]
        self._leaving.add(mm)
        living = self._reports.processes
        for each in reversed(self.took_part):
            parents = {other.parent for other in self.took_part if other.pid in living}
            if each.mm in self._leaving and each.pid in living and each.pid not in parents:
                exit_process(self._reports, living[each.pid], 0)

    def kill(self) -> None:
        """SIGKILL for whoever is left, and wait until all are gone."""
        for process in reversed(list(self._reports.processes.values())):
            end_process(self._reports, process)
