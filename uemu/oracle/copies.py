"""Whether fork's copy of a page is a state that the page had.

The parent's threads may store to a page while fork copies it. The copy must
then show the page before or after each store, never the second of two without
the first. What a device writes meanwhile is excepted: it may be there or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from uemu.abi import PAGE_SIZE


@dataclass(slots=True)
class _Copy:
    """A copy under way: every state its source had since it began.

    Attributes:
        src: the frame copied, of a huge page the first.
        states: its contents, the last one now.
        excepted: offsets that a device wrote.
    """

    src: int
    states: list[bytearray]
    excepted: set[int] = field(default_factory=set)

    def offset_of(self, pfn: int, offset: int) -> int | None:
        """Where in what is copied a byte of a frame lies, if there."""
        at = (pfn - self.src) * PAGE_SIZE + offset
        return at if 0 <= at < len(self.states[0]) else None


class ForkCopies:
    """The copies that forks are making."""

    def __init__(self) -> None:
        self._under_way: dict[int, _Copy] = {}

    def began(self, src: int, dst: int, data: bytes) -> None:
        """A copy of ``src`` to ``dst`` begins."""
        self._under_way[dst] = _Copy(src, [bytearray(data)])

    def stored(self, pfn: int, offset: int, data: bytes) -> None:
        """A CPU stored into a frame."""
        for copy in self._under_way.values():
            at = copy.offset_of(pfn, offset)
            if at is not None:
                state = bytearray(copy.states[-1])
                state[at : at + len(data)] = data
                copy.states.append(state)

    def device_wrote(self, pfn: int, offset: int, length: int) -> None:
        """A device wrote into a frame."""
        for copy in self._under_way.values():
            at = copy.offset_of(pfn, offset)
            if at is not None:
                copy.excepted.update(range(at, at + length))

    def ended(self, dst: int, data: bytes) -> list[int]:
        """The copy is done: the offsets where it differs from its nearest state, if any."""
        copy = self._under_way.pop(dst)
        differences = [
            [at for at in range(len(data)) if data[at] != state[at] and at not in copy.excepted]
            for state in copy.states
            if bytes(state) != data
        ]
        if len(differences) < len(copy.states):
            return []
        return min(differences, key=len)
