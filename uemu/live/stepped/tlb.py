"""TLB entries that are real mappings.

An entry is a frame's page of the memfd, mapped at the user's address: for
reading and writing, or for reading only. Nothing here remembers them: what a
process has mapped is asked of /proc/PID/maps.
"""

from __future__ import annotations

import contextlib
import os

from uemu.abi import PAGE_SIZE, PROT_READ
from uemu.errors import Disagreement, HostError
from uemu.host import native
from uemu.host.memfd import MemfdFrames
from uemu.host.procfs import has_memory, mapped_file_at
from uemu.host.syscalls import name_of
from uemu.live.hands import Hands, munmap_call
from uemu.live.mmu import RW
from uemu.live.puppet import PuppetThread


class RealTlbs:
    """The TLBs of all puppets.

    Args:
        frames: where the frames are.
    """

    def __init__(self, hands: Hands, frames: MemfdFrames) -> None:
        self._hands = hands
        self._frames = frames
        self._inode = os.fstat(frames.fd).st_ino

    def fill(self, thread: PuppetThread, base: int, pfn: int, *, write: bool) -> None:
        """Map a frame at ``base`` (page-aligned, bytes), in place of what was there.

        Raises:
            HostError: the real kernel refused.
        """
        prot = RW if write else PROT_READ
        offset = self._frames.offset_of(pfn)
        (call,) = self._hands.mmu.place_calls(base, PAGE_SIZE, prot, offset)
        self._make(thread, call, "a TLB fill")

    def drop(self, thread: PuppetThread, start: int, end: int) -> None:
        """Unmap every frame in ``[start, end)`` (page-aligned, bytes)."""
        self._make(thread, munmap_call(start, end - start), "a TLB flush")

    def pfn_at(self, thread: PuppetThread, addr: int) -> int:
        """The frame that a process has really mapped at ``addr``.

        Raises:
            Disagreement: something else is mapped there, or nothing.
            ProcessDied: somebody killed it since.
        """
        found = None
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found = mapped_file_at(thread.process.pid, addr)
        if found is not None and found[0] == self._inode:
            pfn = self._frames.pfn_at(found[1])
            if pfn is not None:
                return pfn
        if not has_memory(thread.process.pid):
            raise self._hands.reports.died(thread, "a look at its mappings")
        raise Disagreement(
            f"process {thread.process.pid} accessed {addr:#x} and did not trap, but has no frame"
            " in use mapped there"
        )

    def _make(self, thread: PuppetThread, call: native.Call, what: str) -> None:
        (result,) = self._hands.make_calls(thread, [call], what)
        if result < 0:
            raise HostError(
                f"make {what} in process {thread.process.pid}",
                f"{name_of(call[0])}: {os.strerror(-result)}",
                "Raise `ulimit -v`, if there is one.",
            )
