"""The worlds that a claim is about."""

from __future__ import annotations

from dataclasses import dataclass

from uemu.claims.watches import WATCHES, Watch
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
    """

    scenario: str
    policy: str
    ipi_wait: bool = True
    memory_model: str = "sc"
    watch: str = ""

    def __call__(self) -> SimulatedWorld:
        """A fresh world."""
        scenario, tso = find_scenario(self.scenario), self.memory_model == "tso"
        if not self.watch:
            return SimulatedWorld(
                scenario, self.policy, ipi_waits_for_gup_fast=self.ipi_wait, tso=tso
            )
        return WatchedWorld(
            scenario,
            self.policy,
            WATCHES[self.watch],
            ipi_waits_for_gup_fast=self.ipi_wait,
            tso=tso,
        )

    def __str__(self) -> str:
        text = f"{self.scenario} under {self.policy}"
        if not self.ipi_wait:
            text += ", with a flush that does not wait"
        return f"{text}, under x86-TSO" if self.memory_model == "tso" else text

    def replay_command(self, schedule: str) -> str:
        """The command that runs one of its schedules again."""
        return replay_command(
            self.scenario,
            self.policy,
            schedule,
            ipi_waits_for_gup_fast=self.ipi_wait,
            memory_model=self.memory_model,
        )


class WatchedWorld(SimulatedWorld):
    """A world whose verdicts include what a watch saw.

    Its steps, and so its schedules, are those of the world without the watch.
    """

    def __init__(
        self,
        scenario: Scenario,
        policy: str | PolicyHooks,
        watch: type[Watch],
        *,
        ipi_waits_for_gup_fast: bool = True,
        tso: bool = False,
    ) -> None:
        super().__init__(scenario, policy, ipi_waits_for_gup_fast=ipi_waits_for_gup_fast, tso=tso)
        self.watch = watch(self)

    def finish(self) -> frozenset[str]:
        """What was violated, and what the watch saw."""
        return super().finish() | self.watch.kinds()
