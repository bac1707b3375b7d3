"""How the processes of a stepped world come and go: fork, vfork, exec, exit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from uemu.kernel import Kernel
from uemu.mm.mm_struct import MmStruct
from uemu.scenario.hardware import Hardware
from uemu.scenario.tasks import Task
from uemu.step import Cell, Op, Step


class Lives:
    """The births and ends of one world.

    Args:
        tasks: all there are, now and later.
        beget: makes the task of a child in an mm, None if it has no script.
    """

    def __init__(
        self,
        kernel: Kernel,
        hardware: Hardware,
        tasks: Sequence[Task],
        beget: Callable[[str, MmStruct], Task | None],
    ) -> None:
        self._kernel = kernel
        self._hardware = hardware
        self._tasks = tasks
        self._beget = beget

    def fork(self, task: Task, name: str) -> Op[None]:
        """A child with an mm of its own."""
        child = yield from self._kernel.fork(task.cpu, task.mm, name)
        self._hardware.begin(child, task.cpu)
        self._beget(name, child)

    def vfork(self, task: Task, name: str) -> Op[None]:
        """A child in the same mm; the caller waits until it leaves that.

        Linux: kernel/fork.c:do_fork, wait_for_vfork_done.
        """
        yield Step("vfork", f"{name} in the same mm")
        child = self._beget(name, task.mm)
        if child is None:
            raise ValueError(f"{name} has no script, so that it would never end")
        child.vfork_done = done = Cell(("vfork_done", name), False)
        task.cpu.touch(("mm_cpumask", task.mm.id), write=True)
        yield Step("wait_for_vfork_done", name, done.peek)
        task.cpu.read(done)

    def exec(self, task: Task) -> Op[None]:
        """A vfork child becomes a program that does nothing here."""
        return self._leave(task, "exec_mmap", "memory of its own")

    def spawn(self) -> Op[None]:
        """The child runs on the caller's CPU meanwhile: to the mm it makes no difference."""
        yield Step("posix_spawn", "clone, CLONE_VM | CLONE_VFORK")
        yield Step("exec_mmap", "memory of its own")

    def exit(self, task: Task) -> Op[None]:
        """A process ends, and its mm with it, unless that is borrowed."""
        if task.vfork_done is not None:
            yield from self._leave(task, "mm_release", "the mm is its parent's")
            return
        op = self._kernel.exit_mm(task.cpu, task.mm)
        yield next(op)
        threads = [other for other in self._tasks if other.mm is task.mm and not other.over]
        if threads not in ([], [task]):
            raise ValueError(f"{task.name} ends its process while its other threads run")
        yield from op

    def _leave(self, task: Task, fn: str, what: str) -> Op[None]:
        """A vfork child gives back what it borrowed. Linux: kernel/fork.c:mm_release()."""
        yield Step(fn, what, locked=True)
        if task.vfork_done is None:
            raise ValueError(f"{task.name} is no child of vfork, and leaves its mm")
        self._hardware.leave(task.cpu, task.mm)
        task.cpu.touch(("mm_cpumask", task.mm.id), write=True)
        task.cpu.rmw(task.vfork_done, lambda _: True)
