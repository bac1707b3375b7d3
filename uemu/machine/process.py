"""Real processes and threads, as a test or a demo drives them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from uemu.abi import PROT_READ, PROT_WRITE
from uemu.errors import Blocked
from uemu.kernel import Kernel
from uemu.live.endings import exit_process, exit_thread
from uemu.live.puppet import PuppetProcess, PuppetThread
from uemu.live.runner import Task
from uemu.live.stage import Stage
from uemu.mm.mm_struct import MmStruct
from uemu.step import Cpu, Op

if TYPE_CHECKING:
    from uemu.machine.machine import Machine

T = TypeVar("T")
R = TypeVar("R")


class Call(Generic[R]):
    """A call that was begun and may still wait.

    Attributes:
        done: whether it is over.
        waits_for: what for, while it does.
    """

    def __init__(self, machine: Machine, task: Task[T], wrap: Callable[[T], R]) -> None:
        self._machine = machine
        self._task = task
        self._wrap = wrap

    @property
    def done(self) -> bool:
        """Whether it is over."""
        return self._machine.tracer.call(lambda: self._task.done)

    @property
    def waits_for(self) -> str | None:
        """The step it stands before, in the kernel's words; None if it is over."""
        return self._machine.tracer.call(self._step)

    def _step(self) -> str | None:
        step = self._task.step
        return f"{step.fn}: {step.what}" if step is not None else None

    def result(self) -> R:
        """What the call returns, or raises.

        Raises:
            Blocked: it still waits, and nothing else can run.
        """
        return self._machine.tracer.call(self._collect)

    def _collect(self) -> R:
        self._machine.runner.wake()
        if not self._task.done:
            raise Blocked(self._task.label, str(self._step()))
        return self._wrap(self._task.result())


def _same(value: T) -> T:
    return value


class Caller:
    """What a thread of a program can do; a `Process` speaks for its first thread.

    Addresses and lengths are in bytes. Every method raises `uemu.Fault` where
    the emulated kernel refuses, `uemu.ProcessDied` when the process is gone,
    `uemu.Blocked` when the call waits for what nothing else can bring about.
    """

    def __init__(self, machine: Machine, puppet: PuppetThread) -> None:
        self._machine = machine
        self._puppet = puppet

    @property
    def tid(self) -> int:
        """The thread id."""
        return self._puppet.tid

    @property
    def mm(self) -> int:
        """The number of its address space, as events and violations have it."""
        return self._puppet.process.mm.id

    @property
    def begin(self) -> Begin:
        """The same calls, started without waiting for their end."""
        return Begin(self)

    def store(self, addr: int, data: bytes) -> None:
        """Store ``data`` with real instructions.

        One mov for 1, 2, 4 or 8 bytes, else ``rep movsb``.
        """
        self.begin.store(addr, data).result()

    def load(self, addr: int, length: int) -> bytes:
        """Load ``length`` bytes with real instructions."""
        return self.begin.load(addr, length).result()

    def fork(self, name: str = "child") -> Process:
        """Call fork(2); the child is stopped and waits for its orders."""
        return self.begin.fork(name).result()

    def vfork(self, name: str = "child") -> Process:
        """Call vfork(2): the child shares the memory, and this thread waits until it ends."""
        machine, puppet = self._machine, self._puppet

        def born() -> Process:
            machine.check_ready("vfork", puppet)
            return Process(machine, machine.stage.births.vfork(puppet, name))

        return machine.tracer.call(born)

    def spawn(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """Run a real program as posix_spawn(3) does, vfork and exec, and wait for its end.

        The program is not emulated; its input and output are /dev/null.

        Args:
            argv: the program, looked up in PATH, and its arguments.
            env: its environment; PATH alone if not given.

        Returns:
            Its exit status, or the negative of the signal that killed it.

        Raises:
            Fault: it cannot be executed.
        """
        machine, puppet = self._machine, self._puppet
        given = _environment(env)

        def run() -> int:
            machine.check_ready("posix_spawn", puppet)
            return machine.stage.births.run_program(puppet, argv, given)

        return machine.tracer.call(run)

    def mmap(
        self,
        length: int,
        prot: int = PROT_READ | PROT_WRITE,
        *,
        shared: bool = False,
        huge: str = "",
    ) -> int:
        """Map anonymous memory; return its address.

        Args:
            length: bytes, rounded up to whole pages.
            prot: PROT_* bits.
            shared: MAP_SHARED, the same memory in all children; else private.
            huge: "hugetlb": in pages of hugetlb; "thp": in transparent huge pages, if the
                policy has them. The length must then be a multiple of
                `Machine.hpage_size`, and ``shared`` is refused (EINVAL).
        """
        return self.begin.mmap(length, prot, shared=shared, huge=huge).result()

    def mremap(self, addr: int, old_length: int, new_length: int) -> int:
        """mremap(2) with MREMAP_MAYMOVE; return the new address, always another one."""
        return self.begin.mremap(addr, old_length, new_length).result()

    def munmap(self, addr: int, length: int) -> None:
        """munmap(2)."""
        self.begin.munmap(addr, length).result()

    def mprotect(self, addr: int, length: int, prot: int) -> None:
        """mprotect(2)."""
        self.begin.mprotect(addr, length, prot).result()

    def madvise(self, addr: int, length: int, advice: int) -> None:
        """madvise(2): MADV_DONTFORK, DOFORK, WIPEONFORK, KEEPONFORK, DONTNEED."""
        self.begin.madvise(addr, length, advice).result()

    def _start(self, label: str, op: Callable[[Stage], Op[T]], wrap: Callable[[T], R]) -> Call[R]:
        return self._machine.start(label, self._puppet, op, wrap)


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath)} if env is None else dict(env)


class Begin:
    """Calls that return a `Call` at once, for what a policy may make wait."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def store(self, addr: int, data: bytes) -> Call[None]:
        """Begin a store."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"store takes bytes, not {type(data).__name__}")
        data = bytes(data)
        if not data:
            raise ValueError("store needs at least one byte")
        caller = self._caller
        return caller._start("store", lambda s: s.accesses.store(caller._puppet, addr, data), _same)

    def load(self, addr: int, length: int) -> Call[bytes]:
        """Begin a load."""
        if length <= 0:
            raise ValueError(f"load needs a positive length, not {length}")
        caller = self._caller
        return caller._start("load", lambda s: s.accesses.load(caller._puppet, addr, length), _same)

    def fork(self, name: str = "child") -> Call[Process]:
        """Begin a fork."""
        caller = self._caller
        machine = caller._machine
        return caller._start(
            "fork", lambda s: s.births.fork(caller._puppet, name), lambda p: Process(machine, p)
        )

    def mmap(
        self,
        length: int,
        prot: int = PROT_READ | PROT_WRITE,
        *,
        shared: bool = False,
        huge: str = "",
    ) -> Call[int]:
        """Begin an mmap(2)."""
        caller = self._caller
        return caller._start(
            "mmap",
            lambda s: s.mmap(caller._puppet, length, prot, shared=shared, huge=huge),
            _same,
        )

    def mremap(self, addr: int, old_length: int, new_length: int) -> Call[int]:
        """Begin an mremap(2)."""
        caller = self._caller
        return caller._start(
            "mremap", lambda s: s.mremap(caller._puppet, addr, old_length, new_length), _same
        )

    def munmap(self, addr: int, length: int) -> Call[None]:
        """Begin a munmap(2)."""
        caller = self._caller
        return caller._start("munmap", lambda s: s.munmap(caller._puppet, addr, length), _same)

    def mprotect(self, addr: int, length: int, prot: int) -> Call[None]:
        """Begin an mprotect(2)."""
        return self._change("mprotect", lambda k, cpu, mm: k.mprotect(cpu, mm, addr, length, prot))

    def madvise(self, addr: int, length: int, advice: int) -> Call[None]:
        """Begin a madvise(2)."""
        return self._change("madvise", lambda k, cpu, mm: k.madvise(cpu, mm, addr, length, advice))

    def _change(self, label: str, op: Callable[[Kernel, Cpu, MmStruct], Op[None]]) -> Call[None]:
        caller, puppet = self._caller, self._caller._puppet
        mm = puppet.process.mm
        return caller._start(label, lambda s: s.change(puppet, op(s.kernel, puppet.cpu, mm)), _same)


class Thread(Caller):
    """A real thread."""

    def exit(self) -> None:
        """exit(2): it ends, its process goes on."""
        machine = self._machine

        def leave() -> None:
            machine.check_ready("exit", self._puppet)
            exit_thread(machine.stage.reports, self._puppet)
            machine.runner.wake()

        machine.tracer.call(leave)

    def __repr__(self) -> str:
        return f"<Thread {self._puppet.cpu.name} tid {self.tid}>"


class Process(Caller):
    """A real process."""

    def __init__(self, machine: Machine, puppet: PuppetProcess) -> None:
        super().__init__(machine, puppet.leader)
        self._process = puppet
        machine.note_pid(puppet.mm.id, puppet.pid)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def name(self) -> str:
        """What reports call it."""
        return self._process.name

    @property
    def alive(self) -> bool:
        """Whether it still runs; nobody does once the machine is closed."""
        if self._machine.tracer.closed:
            return False
        return self._machine.tracer.call(self._is_alive)

    def _is_alive(self) -> bool:
        self._machine.stage.reports.reap()
        return self._process.death is None

    def thread(self, name: str = "") -> Thread:
        """Start a real thread (clone(2) with CLONE_THREAD)."""
        machine = self._machine
        label = name or f"{self.name}-{len(self._process.threads)}"

        def clone() -> Thread:
            machine.check_ready("clone", self._puppet)
            return Thread(machine, machine.stage.births.clone_thread(self._puppet, label))

        return machine.tracer.call(clone)

    def exec(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """Become a real program, as a vfork child does, and wait for its end; as `spawn`.

        Returns:
            Its exit status, or the negative of the signal that killed it.

        Raises:
            Fault: it cannot be executed; this process goes on.
            ValueError: this process is no child of vfork.
        """
        machine, process = self._machine, self._process
        given = _environment(env)

        def run() -> int:
            machine.check_ready("execve", self._puppet)
            status = machine.stage.births.execute(process, argv, given)
            machine.runner.wake()
            return status

        return machine.tracer.call(run)

    def exit(self, status: int = 0) -> None:
        """exit_group(2): it and its threads end; what devices hold stays held."""
        machine = self._machine

        def leave() -> None:
            machine.check_ready("exit", self._puppet)
            exit_process(machine.stage.reports, self._process, status)
            machine.runner.wake()

        machine.tracer.call(leave)

    def __repr__(self) -> str:
        return f"<Process {self.name} pid {self.pid}>"
