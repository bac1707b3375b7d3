"""A toy world that kills the worker it is made in, once."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.explore.toys import Toy, racy_counter, toy

WORLDS = Counter[Path]()
"""How many worlds were made in this process; a factory is a fresh copy each time."""


@dataclass(frozen=True)
class Deadly:
    """A factory that can be pickled.

    Attributes:
        folder: each worker leaves its process id there, and the victim ``killed``.
        parent: the process that does not count as a worker.
        at: the world whose making kills: in the middle of a worker's life.
        always: whether every worker dies.
    """

    folder: Path
    parent: int
    at: int = 100
    always: bool = False

    def __call__(self) -> Toy:
        if os.getpid() != self.parent:
            self._note()
        world = toy(racy_counter, 4)()
        assert isinstance(world, Toy)
        return world

    def _note(self) -> None:
        WORLDS[self.folder] += 1
        if WORLDS[self.folder] == 1:
            (self.folder / str(os.getpid())).touch()
        if WORLDS[self.folder] == self.at:
            try:
                (self.folder / "killed").touch(exist_ok=self.always)
            except FileExistsError:
                return  # somebody did already
            os.kill(os.getpid(), signal.SIGKILL)

    def pids(self) -> list[int]:
        """The processes that were at work."""
        return [int(path.name) for path in self.folder.iterdir() if path.name.isdigit()]

    def was_deadly(self) -> bool:
        """Whether a worker was killed."""
        return (self.folder / "killed").exists()
