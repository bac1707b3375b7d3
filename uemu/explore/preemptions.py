"""Every schedule with at most so many preemptions.

A preemption is a switch away from a task that could have gone on; a switch away
from one that waits, or is through, costs nothing. Most races need one or two
(M. Musuvathi and S. Qadeer, "Iterative context bounding for systematic testing
of multithreaded programs", PLDI 2007), and with n steps and a bound of b there
are of the order of n^b schedules, however many tasks there are: what is too large
to be decided can be searched in part, and it is known which part.

There is no reduction here. Of two orders of one kind the one that the reduction
drops may be the one within the bound: a bound makes steps depend on each other
that touch nothing in common (K. Coons, M. Musuvathi and K. McKinley, "Bounded
partial-order reduction", OOPSLA 2013). And to put a task to sleep is right only
if taking its step earlier costs no preemption more; where that step ends another
task's wait it does: to leave the other one afterwards is no longer free.
"""

from __future__ import annotations

from collections.abc import Sequence


class AtMost:
    """An order for `dfs`: who ran last first, the others while the bound allows.

    Attributes:
        bound: how many preemptions a schedule may have.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        # Up to each step of the schedule at hand: its preemptions, and whether the
        # task that ran last could have gone on.
        self._so_far: list[tuple[int, bool]] = []

    def __call__(self, schedule: Sequence[int], runnable: Sequence[int]) -> Sequence[int]:
        """Whom to try."""
        if not schedule:
            self._so_far = [(0, False)]
            return runnable
        last = schedule[-1]
        del self._so_far[len(schedule) :]
        preemptions, could_go_on = self._so_far[-1]
        if could_go_on and schedule[-2] != last:
            preemptions += 1
        can_go_on = last in runnable
        self._so_far.append((preemptions, can_go_on))
        if not can_go_on:
            return runnable
        if preemptions >= self.bound:
            return [last]
        return [last, *(task for task in runnable if task != last)]
