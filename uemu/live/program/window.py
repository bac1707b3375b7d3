"""Frames in a real program: a window onto all of them, and how one is placed.

The memfd is mapped whole, and inaccessible, when a program starts. A frame is
placed by mremap(2) of its part of the window with an old size of 0, which
duplicates a shared mapping, so that the program needs no descriptor of ours
that it could close.
"""

from __future__ import annotations

from typing import Final

from uemu.abi import MREMAP_FIXED, MREMAP_MAYMOVE, SYS_MPROTECT, SYS_MREMAP
from uemu.host.memfd import MemfdFrames
from uemu.host.native import AREA_SIZE, Call
from uemu.live.mmu import LiveMmu

CONTROL_BASE: Final = 0x2F00_0000_0000
"""Where a program has the control area, in bytes: where neither it nor a sanitizer maps."""

WINDOW_BASE: Final = CONTROL_BASE + (AREA_SIZE + (1 << 30) - 1 >> 30 << 30)
"""Where the window is, in bytes."""


class WindowMmu(LiveMmu):
    """The `LiveMmu` of programs."""

    def __init__(self, frames: MemfdFrames) -> None:
        super().__init__(frames, -1)

    def place_calls(self, base: int, length: int, prot: int, offset: int) -> list[Call]:
        """Duplicate a part of the window, and make it accessible."""
        how = MREMAP_MAYMOVE | MREMAP_FIXED
        return [
            (SYS_MREMAP, WINDOW_BASE + offset, 0, length, how, base, 0),
            (SYS_MPROTECT, base, length, prot, 0, 0, 0),
        ]
