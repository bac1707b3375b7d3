"""A device, as a test or a demo drives it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from uemu.abi import Direction
from uemu.dma import engine
from uemu.kernel import check_kind
from uemu.machine.process import Call, Caller
from uemu.machine.secondary import SecondaryMmu
from uemu.mm.hooks import APIS
from uemu.step import run

if TYPE_CHECKING:
    from uemu.machine.machine import Machine


class _Device:
    """An I/O in flight: the device holds its page frames."""

    def __init__(self, machine: Machine, caller: Caller, io: engine.Io) -> None:
        self._machine = machine
        self._cpu = caller._puppet.cpu
        self._io = io

    @property
    def pfns(self) -> tuple[int, ...]:
        """The frames it holds, in the order of the buffer."""
        return tuple(segment.pfn for segment in self._io.segments)

    @property
    def in_flight(self) -> bool:
        """Whether it still holds them."""
        return self._io.live


class Transfer(_Device):
    """One request in flight."""

    _io: engine.Transfer

    def complete(self, data: bytes = b"") -> bytes:
        """Let the device move its bytes and end the request.

        Args:
            data: FROM_DEVICE: what the device writes, at most the buffer's
                length (less is a short read). TO_DEVICE: must be empty.

        Returns:
            TO_DEVICE: the bytes the device read; else ``b""``.
        """
        return self._machine.tracer.call(lambda: self._complete(data))

    def complete_from_file(self, fd: int, offset: int) -> int:
        """Let the device read a file into its frames; how many bytes there were.

        Args:
            fd: a descriptor of this program, open for reading.
            offset: bytes from the start of the file.
        """
        data = os.pread(fd, self._io.length, offset)
        self.complete(data)
        return len(data)

    def _complete(self, data: bytes) -> bytes:
        machine, io = self._machine, self._io
        kernel = machine.stage.kernel
        read = b""
        if io.direction is Direction.TO_DEVICE:
            if data:
                raise ValueError("a transfer to the device takes no data, it returns it")
            read = run(kernel.io.dma_read(self._cpu, io, 0, io.length))
        elif data:
            run(kernel.io.dma_write(self._cpu, io, 0, data))
        run(kernel.io.dio_complete(self._cpu, io))
        machine.runner.wake()
        return read


class Registration(_Device):
    """Frames a device holds until `release`."""

    _io: engine.Registration

    def dma_write(self, offset: int, data: bytes) -> None:
        """Let the device write ``data`` at byte ``offset`` of the buffer."""
        machine = self._machine
        op = machine.stage.kernel.io.dma_write(self._cpu, self._io, offset, data)
        machine.tracer.call(lambda: run(op))

    def dma_read(self, offset: int, length: int) -> bytes:
        """Let the device read ``length`` bytes from byte ``offset`` of the buffer."""
        machine = self._machine
        op = machine.stage.kernel.io.dma_read(self._cpu, self._io, offset, length)
        return machine.tracer.call(lambda: run(op))

    def release(self) -> None:
        """Give the frames back."""
        machine = self._machine

        def let_go() -> None:
            run(machine.stage.kernel.io.release(self._cpu, self._io))
            machine.runner.wake()

        machine.tracer.call(let_go)


class Dma:
    """The devices of a machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def start(
        self,
        caller: Caller,
        addr: int,
        length: int,
        *,
        direction: Direction,
        api: str = "o_direct",
        aio: bool = False,
    ) -> Transfer:
        """Start a transfer over a process's memory and leave it in flight.

        Args:
            caller: the process or thread that asks for it.
            addr, length: the buffer, in bytes; O_DIRECT wants multiples of 512.
            direction: DMA_FROM_DEVICE writes memory, DMA_TO_DEVICE reads it.
            api: ``o_direct`` or ``vmsplice``: who takes the reference, and so
                which kind the policy gives.
            aio: the call that submits it has returned: a policy may hold its
                locks for that call only.

        Raises:
            Fault: EFAULT (not mapped, not allowed), EINVAL (alignment).
            ValueError: no such api, or it does not start transfers.
        """
        return self.begin_start(
            caller, addr, length, direction=direction, api=api, aio=aio
        ).result()

    def begin_start(
        self,
        caller: Caller,
        addr: int,
        length: int,
        *,
        direction: Direction,
        api: str = "o_direct",
        aio: bool = False,
    ) -> Call[Transfer]:
        """Begin what `start` does: a policy may make it wait."""
        check_api(api)
        if not isinstance(direction, Direction):
            raise TypeError(
                f"direction must be uemu.DMA_FROM_DEVICE or DMA_TO_DEVICE, not {direction!r}"
            )
        self._machine.check_own(caller)
        puppet = caller._puppet
        return self._machine.start(
            f"{api} transfer",
            puppet,
            lambda s: s.dio_submit(puppet, addr, length, direction, api, aio=aio),
            lambda io: Transfer(self._machine, caller, io),
        )

    def register(
        self, caller: Caller, addr: int, length: int, writable: bool = True, api: str = "rdma"
    ) -> Registration:
        """Let a device keep a process's memory until it is released.

        Args:
            caller: the process or thread that asks for it.
            addr, length: the buffer, in bytes.
            writable: whether the device may write it.
            api: ``rdma``, ``io_uring``, ``vfio``, or any other.

        Raises:
            Fault: EFAULT, not mapped or not allowed.
            ValueError: no such api.
        """
        return self.begin_register(caller, addr, length, writable, api).result()

    def begin_register(
        self, caller: Caller, addr: int, length: int, writable: bool = True, api: str = "rdma"
    ) -> Call[Registration]:
        """Begin what `register` does: a policy may make it wait."""
        check_api(api)
        self._machine.check_own(caller)
        puppet = caller._puppet
        return self._machine.start(
            f"{api} registration",
            puppet,
            lambda s: s.register(puppet, addr, length, writable, api),
            lambda io: Registration(self._machine, caller, io),
        )

    def secondary(
        self, caller: Caller, addr: int, length: int, *, kind: str = "kvm"
    ) -> SecondaryMmu:
        """Let a secondary MMU translate a process's private memory.

        Args:
            caller: the process or thread that asks for it.
            addr, length: whole pages, in bytes.
            kind: ``kvm`` and ``xpmem`` hold what they translate until a notifier takes
                it away, ``gru`` does not; KVM since v2.6.32 neither.

        Raises:
            Fault: EFAULT (not mapped), EINVAL (alignment, huge or shared memory), ENOSYS
                (a kernel before v2.6.27).
            ValueError: no such kind.
        """
        return self.begin_secondary(caller, addr, length, kind=kind).result()

    def begin_secondary(
        self, caller: Caller, addr: int, length: int, *, kind: str = "kvm"
    ) -> Call[SecondaryMmu]:
        """Begin what `secondary` does."""
        check_kind(kind)
        self._machine.check_own(caller)
        puppet = caller._puppet
        return self._machine.start(
            f"{kind} attached",
            puppet,
            lambda s: s.attach_secondary(puppet, addr, length, kind),
            lambda mmu: SecondaryMmu(self._machine, caller, mmu),
        )


def check_api(api: str) -> None:
    """Raise ValueError unless ``api`` is one that takes references."""
    if api not in APIS:
        raise ValueError(f"unknown api {api!r}; known: {', '.join(APIS)}")
