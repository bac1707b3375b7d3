"""A secondary MMU, as a test or a demo drives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uemu import kernel
from uemu.live.puppet import PuppetThread
from uemu.machine.process import Call, Caller
from uemu.step import run

if TYPE_CHECKING:
    from uemu.machine.machine import Machine


class SecondaryMmu:
    """What translates a process's pages for a guest until `release`.

    Unlike what a device holds it follows the process: notifiers take a translation
    away with the process's own, and the guest's next access faults.
    """

    def __init__(self, machine: Machine, caller: Caller, mmu: kernel.SecondaryMmu) -> None:
        self._machine = machine
        self._caller = caller
        self._mmu = mmu

    @property
    def pfns(self) -> tuple[int | None, ...]:
        """The frame it has for each of its pages, or None."""

        def look() -> tuple[int | None, ...]:
            ios = [cell.peek() for cell in self._mmu.sptes.values()]
            return tuple(io.segments[0].pfn if io is not None else None for io in ios)

        return self._machine.tracer.call(look)

    def store(self, offset: int, data: bytes) -> None:
        """Let a guest store ``data`` at byte ``offset``.

        Raises:
            Fault: EFAULT, the process does not have that memory any more.
        """
        self.begin_store(offset, data).result()

    def load(self, offset: int, length: int) -> bytes:
        """Let a guest load ``length`` bytes from byte ``offset``.

        Raises:
            Fault: EFAULT, the process does not have that memory any more.
        """
        return self.begin_load(offset, length).result()

    def begin_store(self, offset: int, data: bytes, *, caller: Caller | None = None) -> Call[None]:
        """Begin a `store`, on a thread of its process: a fault may have to wait."""
        puppet, mmu = self._puppet_of(caller), self._mmu
        return self._machine.start(
            f"{mmu.kind} store",
            puppet,
            lambda s: s.secondary_store(puppet, mmu, offset, data),
            lambda result: result,
        )

    def begin_load(self, offset: int, length: int, *, caller: Caller | None = None) -> Call[bytes]:
        """Begin a `load`, as `begin_store` does."""
        puppet, mmu = self._puppet_of(caller), self._mmu
        return self._machine.start(
            f"{mmu.kind} load",
            puppet,
            lambda s: s.secondary_load(puppet, mmu, offset, length),
            lambda result: result,
        )

    def _puppet_of(self, caller: Caller | None) -> PuppetThread:
        caller = caller or self._caller
        self._machine.check_own(caller)
        return caller._puppet

    def release(self) -> None:
        """Let everything go."""
        cpu, machine = self._caller._puppet.cpu, self._machine
        machine.tracer.call(lambda: run(self._mmu.detach(cpu)))
