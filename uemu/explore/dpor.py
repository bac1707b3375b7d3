"""One order of steps of each kind: dynamic partial-order reduction.

Orders that differ only in steps that do not conflict end alike (`clocks` says
what conflicts). After each step we look for earlier steps it is in a *race*
with, in conflict but not ordered, and see to it that the order in which this
step comes first is tried where the earlier one stands. Sleep sets give up an
order that begins like one already seen.

After C. Flanagan and P. Godefroid, "Dynamic partial-order reduction for model
checking software", POPL 2005, with the choice of the task to add from P. Abdulla,
S. Aronis, B. Jonsson and K. Sagonas, "Optimal dynamic partial order reduction",
POPL 2014 (source sets). What is our own is the care for waits and for steps
that touch other cells in other states, so here is the argument.

Claim: let E be a node, Z the tasks asleep there, u a sequence of steps that can
be run from E. If no task of Z can go first in u, some execution through E contains
u, up to the order of steps that do not conflict. At the root Z is empty, so every
kind of execution is run. Proof, from the leaves up; P are the tasks tried at E:

(1) A task of P can go first in u: take the one tried first. Nothing asleep behind it
    can go first in the rest of u, so the claim for the child does it. If a task of P
    takes no step in u and conflicts with none: likewise.
(2) Otherwise take any t in P. Write u = w q ... with q the first step in conflict
    with t; w can be run behind t. To show: somebody who can go first in u was
    added at E or is in Z, which contradicts (1).
    (a) q can run behind t w. An execution through the child contains t w q; there q
        is found in a race with t. What q's past has in it since E, and does not
        depend on t, lies in w, and who goes first in it goes first in u: we add one
        of those. If there is nothing, we add q's own task. Then it can go first in
        u, or a step of w conflicts with what q does without t: repeat (2) with
        t := q, whose w is shorter, so this ends. It would not if q were in Z. But we
        know what q touched when it was put to sleep: if its step now `covers` that,
        a step of w in conflict with it is in its past. If not, we add every task.
    (b) t takes away what q waits for, and q runs later or never.
        Later: by R4 its step touched the cells it waited for, so it is found in a
        race with t, a release in between or not (we compare with what q's task knew
        *before* the step). If q's task can run at E we add it and go on as in (a).
        If not, a step of w gives q what it waits for; it conflicts with q, is in q's
        past, and we add *all* who go first there. The release of a lock and the next
        acquisition have no such past: rightly, nothing is added.
        Never: what the step would have touched is unknown. It counts as in conflict
        with every step its task does not know of, and all who go first in
        everything that does not depend on t are added.

Where only sleeping tasks can run but another one waits, the execution goes on to its
end, ``redundant``, for the races of (b) alone. An `InvariantError` ends an execution
with tasks left: every task is tried in place of the last step, and who waits
there is treated as in "never". A new task knows what its creator's step knows.

Relies: R4; two runs of one order do the same; verdicts depend on the order of
conflicting steps only (`world`). If a condition stops looking at the first cell that
decides, and the step that waited does likewise, R4 is kept by half: therefore to take
from a task the right to run counts as a conflict with its step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from uemu.errors import InvariantError
from uemu.explore.clocks import Clocks, conflict, covers, with_creation
from uemu.explore.execution import LIVELOCK, MAX_STEPS, Execution
from uemu.explore.result import Trial
from uemu.explore.world import WorldFactory
from uemu.step import Access


@dataclass(slots=True)
class Node:
    """A state on the way, and the step taken from it now.

    Attributes:
        runnable: who can run here; `can` the same as a bit set.
        asleep: who need not be tried here, and what its next step touches.
        task: whose step is taken now.
        wanted: who is to be tried here, a bit set.
        skip: who was tried or is asleep, a bit set.
        idle: whether the node serves to see races only: nobody else is tried.
        tried: who was tried here before, and what its step touched.
        access: what the step taken now touched.
    """

    runnable: list[int]
    can: int
    asleep: dict[int, Access]
    task: int
    wanted: int
    skip: int
    idle: bool
    tried: dict[int, Access] = field(default_factory=dict)
    access: Access = field(default_factory=Access)


class Reduction:
    """A depth-first search that tries at each node what a race asks for.

    Attributes:
        stack: the nodes of the execution at hand.
        floor: how many of them are not this search's own: there it asks, in
            ``wanted``, and does not try. See `split`.
    """

    def __init__(
        self, factory: WorldFactory, *, path: Sequence[Node] = (), max_steps: int = MAX_STEPS
    ) -> None:
        self.factory = factory
        self.max_steps = max_steps
        self.executions = 0
        self.stack = list(path)
        self.floor = len(path)
        self._clocks = Clocks()
        self._begun = False
        self._redundant = False

    def next(self) -> Trial | None:
        """Run the next schedule; None if none is left."""
        if not self._begun:
            self._begun = True
            return self._execute(Execution(self.factory), rebuild=True)
        return self._execute(Execution(self.factory)) if self._turn() else None

    def runs(self) -> Iterator[Trial]:
        """Run a schedule of every kind; what is given up comes as ``redundant``."""
        while (trial := self.next()) is not None:
            yield trial

    def _execute(self, execution: Execution, *, rebuild: bool = False) -> Trial:
        stack = self.stack
        self._redundant = False
        verdicts = None
        if rebuild:
            self._clocks.begin(len(execution.tasks))
            self._rebuild(execution)
        elif stack:
            execution.rewind([node.task for node in stack[:-1]], stack[-1].runnable)
        if stack:
            verdicts = self._take(execution, stack[-1])
        while verdicts is None:
            verdicts = self._arrive(execution)
            if verdicts is None:
                verdicts = self._take(execution, stack[-1])
        return Trial(tuple([node.task for node in stack]), verdicts, self._redundant)

    def _rebuild(self, execution: Execution) -> None:
        """Take the steps of a path that another search took, races and all."""
        for node, after in pairwise(self.stack):
            tasks = len(execution.tasks)
            execution.rewind([node.task], after.runnable)
            self._clocks.push(node.task, node.access, len(execution.tasks) - tasks)
            self._note_losses(node, after.runnable)

    def _turn(self) -> bool:
        """Go back to the deepest node where somebody is left to be tried."""
        stack = self.stack
        while len(stack) > self.floor:
            node = stack[-1]
            self._clocks.pop()
            node.tried[node.task] = node.access
            node.skip |= 1 << node.task
            left = node.wanted & ~node.skip
            if left and not node.idle:
                node.task = (left & -left).bit_length() - 1
                return True
            stack.pop()
        return False

    def _arrive(self, execution: Execution) -> frozenset[str] | None:
        """Add a node for the state at hand, or return the verdicts if this is the end."""
        stack = self.stack
        runnable = execution.runnable()
        asleep: dict[int, Access] = {}
        skip = 0
        if stack:
            last = stack[-1]
            self._note_losses(last, runnable)
            if not self._redundant:
                for sleepers in (last.asleep, last.tried):
                    for task, access in sleepers.items():
                        if task in runnable and not conflict(access, last.access):
                            asleep[task] = access
                            skip |= 1 << task
        if not runnable:
            if not execution.is_finished():
                self._note_blocked(execution, runnable)
            return execution.finish()
        if len(stack) == self.max_steps:
            return frozenset({LIVELOCK})
        chosen = runnable[0]
        if asleep:
            if len(asleep) < len(runnable):
                chosen = next(task for task in runnable if task not in asleep)
            else:
                self._redundant = True
                if len(runnable) == sum(step is not None for step in execution.pending):
                    return frozenset()
        can = 0
        for task in runnable:
            can |= 1 << task
        stack.append(Node(runnable, can, asleep, chosen, 1 << chosen, skip, self._redundant))
        return None

    def _note_losses(self, node: Node, runnable: list[int]) -> None:
        """Note who could run at a node, and after its step no more."""
        for task in node.runnable:
            if task not in runnable and task != node.task:
                self._clocks.lose(task)

    def _take(self, execution: Execution, node: Node) -> frozenset[str] | None:
        """Take a node's step and note its races; the verdict if it ends the execution."""
        tasks = len(execution.tasks)
        label = execution.pending[node.task]
        verdicts = None
        try:
            execution.advance(node.task)
        except InvariantError as error:
            verdicts = frozenset({error.kind})
            node.wanted |= node.can
        access = execution.take_accesses(node.task)
        created = len(execution.tasks) - tasks
        node.access = with_creation(access) if created else access
        races = self._clocks.push(node.task, node.access, created)
        if races:
            self._note_races(node, races, label is not None and label.enabled is not None)
        if verdicts is not None:
            self._note_blocked(execution, node.runnable)
        return verdicts

    def _note_races(self, node: Node, races: int, waited: bool) -> None:
        """Ask for the orders in which the last step comes before one it races with."""
        stack, clocks = self.stack, self._clocks
        last = len(stack) - 1
        bit = 1 << node.task
        before = clocks.before(last)
        within = clocks.past[last] ^ (1 << last)
        while races:
            j = races.bit_length() - 1
            races ^= 1 << j
            there = stack[j]
            if there.idle or not there.can & ~(there.wanted | there.skip):
                continue  # nobody is left to be added
            firsts = clocks.firsts(j, within)
            if before >> j == 0 and (waited or not firsts):  # the task's first step after j
                slept = there.asleep.get(node.task)
                if slept is not None and not covers(node.access, slept):
                    firsts = there.can
                else:
                    firsts |= bit & there.can
            if firsts & ~there.can:
                firsts = there.can  # a rule of `uemu.step` was broken: be safe
            if waited:
                there.wanted |= firsts
            elif firsts == there.can:
                there.wanted = firsts
            elif not firsts & (there.wanted | there.skip):
                there.wanted |= firsts & -firsts

    def _note_blocked(self, execution: Execution, runnable: list[int]) -> None:
        """Ask for every order in which a task that waits now might have run before.

        What its step would have touched is not known.
        """
        stack, clocks = self.stack, self._clocks
        everything = (1 << len(stack)) - 1
        blocked = [
            task
            for task in range(len(clocks.known))
            if execution.pending[task] is not None and task not in runnable
        ]
        for j, there in enumerate(stack):
            if there.idle or not there.can & ~(there.wanted | there.skip):
                continue
            strangers = [task for task in blocked if not clocks.known[task] >> j & 1]
            if strangers:
                firsts = clocks.firsts(j, everything)
                for task in strangers:
                    firsts |= 1 << task
                there.wanted |= firsts & there.can
