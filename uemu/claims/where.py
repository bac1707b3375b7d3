"""The worlds that a claim is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from uemu.claims.watch import Watch
from uemu.claims.watches import WATCHES
from uemu.errors import InvariantError
from uemu.mm.hooks import PolicyHooks
from uemu.report.way_back import replay_command
from uemu.scenario.registry import find_scenario
from uemu.scenario.script import Scenario
from uemu.scenario.world import SimulatedWorld


@dataclass(frozen=True, slots=True)
class Where:
    """A scenario under a policy, and how its hardware is; makes its world anew when called.

    Attributes:
        ipi_wait: whether a TLB flush waits for a gup-fast that runs with
            interrupts off.
        memory_model: ``sc`` or ``tso``.
        watch: what is looked for beside violations, a key of `WATCHES`, or "".
        past: a broken rule of the emulated kernel (``refcount-leak``) that does
            not end a run: what it would hide shall show.
    """

    scenario: str
    policy: str
    ipi_wait: bool = True
    memory_model: str = "sc"
    watch: str = ""
    past: str = ""

    def __call__(self) -> SimulatedWorld:
        """A fresh world."""
        return ClaimWorld(
            find_scenario(self.scenario),
            self.policy,
            WATCHES[self.watch] if self.watch else Watch,
            self.past,
            ipi_waits_for_gup_fast=self.ipi_wait,
            tso=self.memory_model == "tso",
        )

    def __str__(self) -> str:
        text = f"{self.scenario} under {self.policy}"
        if not self.ipi_wait:
            text += ", with a flush that does not wait"
        if self.memory_model == "tso":
            text += ", under x86-TSO"
        return f"{text}, its {self.past} aside" if self.past else text

    def replay_command(self, schedule: str) -> str:
        """The command that runs one of its schedules again."""
        return replay_command(
            self.scenario,
            self.policy,
            schedule,
            ipi_waits_for_gup_fast=self.ipi_wait,
            memory_model=self.memory_model,
        )


class ClaimWorld(SimulatedWorld):
    """A world whose verdicts include what a watch saw.

    Its steps, and so its schedules, are those of the world without the watch.
    """

    def __init__(
        self,
        scenario: Scenario,
        policy: str | PolicyHooks,
        watch: type[Watch],
        past: str,
        *,
        ipi_waits_for_gup_fast: bool = True,
        tso: bool = False,
    ) -> None:
        super().__init__(scenario, policy, ipi_waits_for_gup_fast=ipi_waits_for_gup_fast, tso=tso)
        self.watch = watch(self)
        self.past = past

    def check(self) -> None:
        """Check the kernel's invariants, but for the one that is known not to hold."""
        with self._going_on():
            super().check()

    def finish(self) -> frozenset[str]:
        """What was violated, and what the watch saw."""
        with self._going_on():
            super().finish()
        violated = frozenset(violation.kind for violation in self.oracle.violations)
        return violated | self.watch.kinds()

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        try:
            yield
        except InvariantError as error:
            if error.kind != self.past:
                raise
