"""The questions about locks: of the I/O path, of fork, of faults.

By default nobody takes any. A policy that makes I/O and fork, or a fault,
wait for each other answers some of them, with a lock of its own or mmap_lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uemu.mm.mm_struct import MmStruct
from uemu.mm.page import Page
from uemu.step import Cpu, Op


@dataclass(frozen=True, slots=True, eq=False)
class IoRequest:
    """A call that lets a device use a process's memory.

    Attributes:
        mm: whose memory.
        api: on whose behalf, a key of `uemu.mm.hooks.APIS`.
        iov: the pieces of the buffer: address and length, in bytes.
        from_device: the device will write memory.
        aio: the call returns while the device is at work. So do calls that
            fill a pipe or register memory, by their nature.
    """

    mm: MmStruct
    api: str
    iov: tuple[tuple[int, int], ...]
    from_device: bool
    aio: bool


class LockHooks:
    """Where a policy may take locks, and wait."""

    def io_begin(self, cpu: Cpu, request: IoRequest) -> Op[None]:
        """Before the first page is looked up."""
        return
        yield  # pragma: no cover

    def gup_begin(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """Before a call of get_user_pages(_fast), of which a big buffer takes several."""
        return
        yield  # pragma: no cover

    def gup_end(self, cpu: Cpu, mm: MmStruct) -> None:
        """It returns, its pages held or refused. Atomic: call inside a step."""

    def io_pages_held(self, cpu: Cpu, request: IoRequest, pages: Sequence[Page]) -> Op[None]:
        """All its pages are held, a page in two pieces of the buffer twice."""
        return
        yield  # pragma: no cover

    def io_pages_done(self, cpu: Cpu, request: IoRequest, pages: Sequence[Page]) -> None:
        """The device is through, and the pages are held still. Atomic: call inside a step."""

    def io_return(self, cpu: Cpu, request: IoRequest) -> None:
        """An AIO call is about to return, its pages held or refused. Atomic: call inside a step."""

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        """The pages were given back, or could not be had. Atomic: call inside a step.

        A synchronous call returns after it.
        """

    def fork_begin(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """Before fork takes mmap_lock."""
        return
        yield  # pragma: no cover

    def fork_end(self, cpu: Cpu, mm: MmStruct) -> None:
        """Fork gives mmap_lock back. Atomic: call inside a step."""

    def fault_begin(self, cpu: Cpu, mm: MmStruct, addr: int, *, write: bool) -> Op[None]:
        """Before a fault of a CPU at ``addr``, a byte address, takes mmap_lock."""
        return
        yield  # pragma: no cover
