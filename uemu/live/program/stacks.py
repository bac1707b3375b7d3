"""Where the threads of programs were at the events of a story.

At the event a thread is stopped: its registers and what lies on its stack are
copied, which is cheap, and unwound only if a violation has to be told. The
mappings are listed when an address space first is in a story, and again when
something is violated: libraries may have been loaded meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from uemu.events import Frame
from uemu.host import tracee
from uemu.host.tracee import Stop
from uemu.live.program.origins import Origins
from uemu.live.program.tasks import ProgramMm, Task
from uemu.oracle.violations import StoryLine, Violation

if TYPE_CHECKING:
    from uemu.host.libdw import Image, Libdw

COPIED: Final = 16 * 1024
"""How much of a stack is copied, in bytes: what is further out is not told of."""

RSP: Final = 7


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Moment:
    """Where a thread was.

    Attributes:
        registers: in DWARF's order.
        stack: what it had from rsp on.
        mappings, origins: of its address space.
    """

    registers: tuple[int, ...]
    stack: bytes
    mappings: Mappings
    origins: Origins

    @property
    def rsp(self) -> int:
        """Its stack pointer."""
        return self.registers[RSP]


class Mappings:
    """What an address space had mapped: text as in /proc/PID/maps."""

    def __init__(self, mm: ProgramMm) -> None:
        self._mm: ProgramMm | None = mm
        self.text = b""
        self.look()

    def look(self) -> None:
        """List them anew, if the address space is still there."""
        if self._mm is not None:
            with suppress(OSError):
                self.text = self._mm.memory.maps() or self.text

    def keep(self) -> None:
        """The address space is going: its number may be another process's soon."""
        self._mm = None


class Stacks:
    """Takes moments down, and makes stacks of them.

    Args:
        tasks: who is traced, by thread id.
        tids: the thread ids of CPUs.
    """

    def __init__(self, tasks: Mapping[int, Task], tids: Mapping[str, int]) -> None:
        self._tasks = tasks
        self._tids = tids
        self._mappings: dict[int, Mappings] = {}
        self._last: tuple[Stop | None, Moment | None] = None, None

    def take(self, cpu: str) -> Moment | None:
        """Where a thread is now, if it is stopped."""
        task = self._tasks.get(self._tids.get(cpu, 0))
        if task is None or task.stop is None:
            return None
        stop, moment = self._last
        if stop is not task.stop:
            # A stop may bring about many events: one for each page of a fork.
            moment = self._take(task)
            self._last = task.stop, moment
        return moment

    def _take(self, task: Task) -> Moment | None:
        registers = tracee.registers_of(task.tid)
        if registers is None:
            return None
        key = task.mm.mm.id
        mappings = self._mappings.get(key)
        try:
            stack = task.mm.memory.read(registers[RSP], COPIED)
            if mappings is None:
                mappings = self._mappings[key] = Mappings(task.mm)
        except OSError:
            return None
        return Moment(registers, stack, mappings, task.mm.origins)

    def look(self, violations: Iterable[Violation]) -> None:
        """Something was violated just now: list the mappings that tell of it."""
        for mappings in {id(each): each for each in _mappings_of(violations)}.values():
            mappings.look()

    def forget(self, mm: int) -> None:
        """An address space is gone; stories that it is in keep what they need."""
        mappings = self._mappings.pop(mm, None)
        if mappings is not None:
            mappings.keep()


def _mappings_of(violations: Iterable[Violation]) -> Iterable[Mappings]:
    for violation in violations:
        for line in violation.story:
            if isinstance(line.moment, Moment):
                yield line.moment.mappings


class Unwinder:
    """Makes stacks of moments, with the library's help.

    Raises:
        NoLibdw: it is not installed.
    """

    def __init__(self) -> None:
        from uemu.host.libdw import Libdw

        self._libdw: Libdw = Libdw()
        self._images: dict[bytes, Image] = {}
        self._stacks: dict[int, tuple[Frame, ...]] = {}

    def image(self, mappings: Mappings) -> Image:
        """What was mapped there."""
        from uemu.host.libdw import Image

        image = self._images.get(mappings.text)
        if image is None:
            image = self._images[mappings.text] = Image(self._libdw, mappings.text)
        return image

    def with_stacks(self, violation: Violation) -> Violation:
        """The same, each line of its story with its stack."""
        return replace(violation, story=tuple(self._line(line) for line in violation.story))

    def variable_at(self, moment: Moment, addr: int) -> str:
        """The name of the variable at an address, or ""."""
        found = self.image(moment.mappings).symbol_at(addr)
        return found.name if found is not None else ""

    def _line(self, line: StoryLine) -> StoryLine:
        moment = line.moment
        if not isinstance(moment, Moment):
            return line
        return replace(line, stack=self.stack_of(moment))

    def stack_of(self, moment: Moment) -> tuple[Frame, ...]:
        """The functions a thread was in, the innermost first."""
        stack = self._stacks.get(id(moment))
        if stack is None:
            image = self.image(moment.mappings)
            stack = tuple(image.frames(moment.registers, moment.stack))
            self._stacks[id(moment)] = stack
        return stack

    def close(self) -> None:
        """Give back what the library holds."""
        for image in self._images.values():
            image.close()
        self._images.clear()
