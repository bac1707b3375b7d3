"""Everything real that a stepped world runs on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from uemu.host.doctor import ptrace_error
from uemu.host.memfd import MemfdFrames
from uemu.live.area import Areas
from uemu.live.hands import Hands
from uemu.live.mmu import LiveMmu
from uemu.live.newborn import FRAMES_FD, Newborns
from uemu.live.puppet import PuppetProcess
from uemu.live.reports import Reports
from uemu.live.stepped.cpus import RealCpus
from uemu.live.stepped.mmu import SteppedMmu
from uemu.live.stepped.processes import Processes
from uemu.live.stepped.tlb import RealTlbs
from uemu.live.tracer import Tracer
from uemu.mm.mm_struct import MmStruct
from uemu.step import Cpu

T = TypeVar("T")


class LiveHardware:
    """Frames in a memfd, and real processes; a context manager, for one world.

    What uses it runs on its tracer thread: see `call`. Its processes end with
    `close`, and with the program, however that ends.

    Raises:
        HostError: this machine cannot trace processes.

    Attributes:
        frames: physical memory.
        mmu: flushes unmap.
        cpus: real instructions.
        processes: who takes part.
    """

    def __init__(self) -> None:
        refused = ptrace_error()
        if refused is not None:
            raise refused
        with contextlib.ExitStack() as undo:
            self.frames = MemfdFrames()
            undo.callback(self.frames.close)
            self._tracer = Tracer("uemu-replay")
            undo.callback(self._tracer.close)
            self._areas = Areas()
            undo.callback(self._areas.close)
            reports = Reports(self._on_death)
            hands = Hands(reports, LiveMmu(self.frames, FRAMES_FD))
            newborns = Newborns(hands, self._areas, self.frames.fd)
            tlbs = RealTlbs(hands, self.frames)
            self.processes = Processes(reports, newborns, tlbs)
            self.mmu = SteppedMmu(self.processes, tlbs)
            self.cpus = RealCpus(reports, self.processes, tlbs, self.frames)
            undo.callback(lambda: self._tracer.call(self.processes.kill))
            self._undo = undo.pop_all()

    def _on_death(self, process: PuppetProcess) -> None:
        self._areas.close_area(process.area)

    def begin(self, mm: MmStruct, forked_by: Cpu | None) -> None:
        """Start the real process of an address space."""
        self.processes.begin(mm, forked_by)

    def run_on(self, cpu: Cpu, mm: MmStruct) -> None:
        """Start the real process of a CPU that runs ``mm``."""
        self.mmu.run_on(cpu, mm)

    def leave(self, cpu: Cpu, mm: MmStruct) -> None:
        """``cpu`` runs nothing of ``mm`` any more."""
        self.mmu.leave(cpu, mm)

    def call(self, fn: Callable[[], T]) -> T:
        """Run ``fn`` on the tracer thread, and return what it returns."""
        return self._tracer.call(fn)

    def close(self) -> None:
        """End every process, and free the frames."""
        self._undo.close()

    def __enter__(self) -> LiveHardware:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
