"""The properties, and what a violation of one says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from uemu.events import Frame, MmId
from uemu.oracle.held import HeldBuffer

KINDS: Final[dict[str, str]] = {
    "lost-dma-write": "bytes a device wrote into a held buffer are not what the holder reads"
    " there once the request completed, though it did not unmap, replace or overwrite them",
    "dma-write-seen-by-other": "another process sees, in private memory, bytes a device wrote"
    " for the holder after the two parted by fork",
    "foreign-dma-read": "a device reading memory for one process receives bytes another process"
    " stored after they parted",
    "stale-dma-read": "a long-term reference no longer refers to the page the process has"
    " mapped, so a device reads old data",
    "secret-leak": "a process reads, through a reference it kept, bytes another process stored"
    " after they parted",
    "torn-fork-copy": "the child's copy of one page is no state that page had in the parent",
    "lost-store": "a store by a thread is missing from its own process afterwards",
    "fork-blocked": "fork, or a fault, waited for I/O and went on",
    "deadlock": "an operation waits for what can never come",
    "livelock": "an operation retries for ever",
    "dirty-lost": "a device's write is dropped because its page was swapped out as clean",
    "pinned-page-freed": "a frame was freed while something still referred to it",
    "refcount-leak": "a page's counts do not agree with who refers to it",
    "not-exclusive": "a page was pinned that more than one process may map",
}
"""Every kind of violation and what it means, in the order reports list them."""


@dataclass(frozen=True, slots=True)
class StoryLine:
    """One event of a violation's story.

    Attributes:
        event: what kind ("pinned", "forked", "stored" ...).
        mm: the address space it happened in, if any.
        cpu: the thread or task, or "device".
        address: the user address, if any.
        text: the event in words.
        pfn: the frame it is about; None: all of an I/O's.
        moment: what the witness took down of the thread, as `Oracle` was given one.
        stack: the functions the thread was in, the innermost first, where that is known.
    """

    event: str
    mm: MmId | None
    cpu: str
    address: int | None
    text: str
    pfn: int | None = None
    moment: object = field(default=None, compare=False, repr=False)
    stack: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Violation:
    """A property that does not hold, and how it came about.

    Attributes:
        kind: a key of `KINDS`.
        mm: the address space that suffers.
        address: the user address, in bytes, or 0.
        length: how many bytes differ, from ``address`` on.
        pfn: the frame the device holds, or None.
        message: one sentence.
        story: what led to it, in order.
        pid: the process that suffers, where processes are real.
        buffer: what the device held, if it is about a device.
    """

    kind: str
    mm: MmId
    address: int
    length: int
    pfn: int | None
    message: str
    story: tuple[StoryLine, ...]
    pid: int | None = None
    buffer: HeldBuffer | None = None

    def __repr__(self) -> str:
        where = f", pid={self.pid}" if self.pid is not None else ""
        return (
            f"Violation(kind={self.kind!r}, address={self.address:#x}, length={self.length}"
            f"{where}, message={self.message!r})"
        )

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"
