"""A sampler that picks each time among the runnable tasks, all alike.

It is the yardstick for others. It finds quickly what shows in many schedules, and
hardly ever what needs one task to stand still while another one runs far: to
pass over a task n times among two is a matter of 2^n.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from uemu.explore.sampling import Pick


@dataclass(frozen=True, slots=True)
class Uniform:
    """Picks uniformly among those that can run.

    Attributes:
        seed: the same one draws the same schedules.
    """

    seed: int

    def begin(self, number: int) -> Pick:
        """Who picks the tasks of the schedule of that number."""
        return Random(f"uniform {self.seed} {number}").choice
