"""Scenarios and schedules as they are typed, and the worlds they make."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, fields
from typing import Any

from uemu.cli.parser import UsageError
from uemu.cli.policy_names import check_policy
from uemu.explore import Schedule
from uemu.policy.registry import make_policy
from uemu.report.way_back import replay_command
from uemu.scenario.registry import find_scenario
from uemu.scenario.script import Scenario
from uemu.scenario.world import SimulatedWorld


def read_schedule(text: str) -> Schedule:
    """A schedule from its text.

    Raises:
        UsageError: it is none; the message says where and why.
    """
    try:
        return Schedule.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


@dataclass(slots=True)
class WorldMaker:
    """Makes one scenario's world under one policy, again and again.

    Attributes:
        live: its runs are shown on real processes too.
        last: the world made last, for a look at it when its run is over. It stays
            where it is when the maker goes to another process.
    """

    scenario: Scenario
    policy: str
    ipi_wait: bool = True
    memory_model: str = "sc"
    live: bool = False
    last: SimulatedWorld | None = field(default=None, init=False)

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> WorldMaker:
        """What ``SCENARIO``, ``--policy`` and ``--no-ipi-wait`` ask for.

        Raises:
            UsageError: a name is unknown, or there is no such scenario under that kernel.
        """
        try:
            scenario = find_scenario(args.scenario)
        except ValueError as error:
            raise UsageError(str(error)) from None
        policy = check_policy(args.policy)
        why_not = scenario.not_applicable(make_policy(policy))
        if why_not is not None:
            raise UsageError(f"{scenario.name} cannot exist under {policy}: {why_not}")
        live = getattr(args, "live", False)
        return cls(scenario, policy, args.ipi_wait, args.memory_model, live)

    def __call__(self) -> SimulatedWorld:
        """A fresh world."""
        self.last = SimulatedWorld(
            self.scenario,
            self.policy,
            ipi_waits_for_gup_fast=self.ipi_wait,
            tso=self.memory_model == "tso",
        )
        return self.last

    def __reduce__(self) -> tuple[type[WorldMaker], tuple[Any, ...]]:
        return type(self), tuple(getattr(self, each.name) for each in fields(self) if each.init)

    def __str__(self) -> str:
        return f"{self.scenario.name} under {self.policy}"

    def as_json(self) -> dict[str, Any]:
        """What the worlds are, for programs."""
        return {
            "scenario": self.scenario.name,
            "policy": self.policy,
            "memory_model": self.memory_model,
            "ipi_waits_for_gup_fast": self.ipi_wait,
        }

    def replay_command(self, schedule: object) -> str:
        """The command that runs one of its schedules again."""
        command = replay_command(
            self.scenario.name,
            self.policy,
            schedule,
            ipi_waits_for_gup_fast=self.ipi_wait,
            memory_model=self.memory_model,
        )
        return f"{command} --live" if self.live else command

    @property
    def remark(self) -> str:
        """What a drawing's title adds: the variant of the policy."""
        return self.policy.partition(":")[2]
