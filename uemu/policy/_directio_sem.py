"""A semaphore between direct I/O and fork, mm->directio_sem (KOSAKI, 2009-03-16 16:01)."""

from __future__ import annotations

from uemu.mm.lock_hooks import IoRequest
from uemu.mm.mm_struct import MmStruct
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op


class DirectioSem(Linux2_6_29):
    """L: direct I/O reads, around direct_io_worker(); fork writes, around all of dup_mmap()."""

    makes_wait = True

    def __init__(self, variant: str = "") -> None:
        super().__init__(variant)
        self._working: set[IoRequest] = set()

    def io_begin(self, cpu: Cpu, request: IoRequest) -> Op[None]:
        """down_read(), before direct_io_worker(). Linux: __blockdev_direct_IO(), patched."""
        if request.api == "o_direct":
            sem = request.mm.sem("directio_sem")
            yield sem.read_step("__blockdev_direct_IO", "directio_sem for reading")
            sem.down_read(cpu)
            self._working.add(request)

    def io_return(self, cpu: Cpu, request: IoRequest) -> None:
        """direct_io_worker() returns: -EIOCBQUEUED, the device may be at work still."""
        self.up_read(cpu, request)

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        """The I/O is over: it is now that direct_io_worker() returns, if it is not AIO."""
        self.up_read(cpu, request)

    def up_read(self, cpu: Cpu, request: IoRequest) -> None:
        """Give the semaphore back, once. Atomic: call inside a step."""
        if request in self._working:
            self._working.remove(request)
            request.mm.sem("directio_sem").up_read(cpu)

    def fork_begin(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """down_write(&oldmm->directio_sem), before mmap_sem. Linux: dup_mmap(), patched."""
        return mm.sem("directio_sem").write(cpu, "dup_mmap", "directio_sem for writing")

    def fork_end(self, cpu: Cpu, mm: MmStruct) -> None:
        """up_write(&oldmm->directio_sem)."""
        mm.sem("directio_sem").up_write(cpu)
