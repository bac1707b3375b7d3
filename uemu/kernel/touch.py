"""What an explorer must know of buffers, and how bytes look in a label."""

from __future__ import annotations

from uemu.mm.mm_struct import MmStruct
from uemu.mm.page_alloc import SECTOR
from uemu.step import Cpu

__all__ = ["SECTOR", "brief", "touch_buffer"]


def touch_buffer(cpu: Cpu, mm: MmStruct, addr: int, length: int, *, write: bool = True) -> None:
    """Let an explorer know that it matters who stores to these addresses last.

    The frames may be two: a device writes the one it holds, wherever the
    holder's own stores go.
    """
    if cpu.recording:
        for sector in range(addr // SECTOR, (addr + length - 1) // SECTOR + 1):
            cpu.touch(("buffer", mm.id, sector), write=write)


def brief(data: bytes) -> str:
    """Bytes in a few characters, for the label of a step."""
    return repr(data if len(data) <= 4 else data[:1])
