"""What a search covered: what was asked for, in words and for programs."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from uemu.cli.names import WorldMaker
from uemu.cli.parser import UsageError, number_from, positive
from uemu.explore import Exploration, Pct, Sampler, Uniform, measured
from uemu.explore.explorer import SAMPLES
from uemu.explore.pct import DEPTH

MODELS = {"sc": "sequential consistency", "tso": "x86-TSO"}
SCHEDULERS = ("dfs", "random", "pct")


def add_search(parser: argparse.ArgumentParser) -> None:
    """Give a command the options that say which orders of steps are run."""
    parser.add_argument(
        "--scheduler",
        choices=SCHEDULERS,
        default="dfs",
        help="dfs: every order, one after the other (default); random: orders drawn at random;"
        " pct: drawn by random priorities, which finds a violation of depth D with a known"
        " probability",
    )
    parser.add_argument(
        "--max-schedules",
        type=positive,
        metavar="N",
        help=f"stop after N runs, without a proof (random and pct: {SAMPLES} unless said)",
    )
    parser.add_argument(
        "--max-preemptions",
        type=number_from(0),
        metavar="N",
        help="run every order that leaves a task which could go on at most N times, and no other",
    )
    parser.add_argument(
        "--seed", type=number_from(0), metavar="N", help="of random and pct (default: 0)"
    )
    parser.add_argument(
        "--depth",
        type=positive,
        metavar="D",
        help=f"of the violations that pct looks for: how many pairs of steps have to be in the"
        f" right order (default: {DEPTH})",
    )
    parser.add_argument(
        "--no-reduction",
        dest="reduction",
        action="store_false",
        help="run every order, not one of each kind",
    )
    parser.add_argument(
        "--twice",
        type=positive,
        nargs="?",
        const=1,
        metavar="K",
        help="run each K-th order (default: each) two more times, and compare step by step",
    )


@dataclass(frozen=True, slots=True)
class Search:
    """Which orders of steps are run.

    Attributes:
        seed: None unless they are drawn.
        reduction: whether one of each kind is enough.
        twice: every so manieth is run two more times; 0 for none.
    """

    scheduler: str = "dfs"
    max_schedules: int | None = None
    max_preemptions: int | None = None
    seed: int | None = None
    depth: int = DEPTH
    reduction: bool = True
    twice: int = 0

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> Search:
        """What the options of `add_search` ask for.

        Raises:
            UsageError: one does not go with another.
        """
        drawn = args.scheduler != "dfs"
        refused = {
            "--seed": args.seed is not None and not drawn,
            "--depth": args.depth is not None and args.scheduler != "pct",
            "--max-preemptions": args.max_preemptions is not None and drawn,
            "--no-reduction": not args.reduction and drawn,
        }
        for option, wrong in refused.items():
            if wrong:
                takers = {"--seed": "random or pct", "--depth": "pct"}.get(option, "dfs")
                raise UsageError(
                    f"{option} means nothing with --scheduler {args.scheduler}:"
                    f" leave it out, or say --scheduler {takers}"
                )
        return cls(
            args.scheduler,
            SAMPLES if drawn and args.max_schedules is None else args.max_schedules,
            args.max_preemptions,
            (args.seed or 0) if drawn else None,
            args.depth or DEPTH,
            args.reduction and not drawn and args.max_preemptions is None,
            args.twice or 0,
        )

    def sampler(self, maker: WorldMaker) -> Sampler | None:
        """Who draws the orders, if they are drawn."""
        if self.seed is None:
            return None
        if self.scheduler == "random":
            return Uniform(self.seed)
        return measured(maker, self.seed, self.depth)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "scheduler": self.scheduler,
            "seed": self.seed,
            "depth": self.depth if self.scheduler == "pct" else None,
            "max_schedules": self.max_schedules,
            "max_preemptions": self.max_preemptions,
            "reduction": self.reduction,
            "twice": self.twice,
        }


def coverage(
    found: Exploration,
    search: Search,
    *,
    seconds: float = 0.0,
    sampler: Sampler | None = None,
    memory_model: str = "sc",
) -> list[str]:
    """How many schedules ran, whether those were all, and what that says; in lines."""
    ran = "1 schedule" if found.schedules == 1 else f"{found.schedules} schedules"
    if found.redundant:
        ran += f" and {found.redundant} redundant"
    if search.scheduler == "random":
        ran += f" drawn at random, seed {search.seed},"
    elif search.scheduler == "pct":
        ran += f" drawn by PCT, depth {search.depth}, seed {search.seed},"
    lines = [f"{ran} in {seconds:.1f} s: {_claim(found, search, memory_model)}"]
    if isinstance(sampler, Pct) and found.schedules:
        lines.append(_promise(found, sampler))
    if search.twice:
        which = "each schedule" if search.twice == 1 else f"one schedule in {search.twice}"
        lines.append(f"{which} was run twice more, and did the same")
    if found.deaths:
        times = "once" if found.deaths == 1 else f"{found.deaths} times"
        lines.append(f"a worker died {times}; its part was given to another, nothing is lost")
    return lines


def _claim(found: Exploration, search: Search, memory_model: str) -> str:
    if found.interrupted:
        return "interrupted, no proof"
    if search.scheduler != "dfs":
        return "no proof"
    if found.exhaustive:
        return f"exhaustive, under {MODELS[memory_model]}"
    if search.max_preemptions is not None and found.complete and not found.cut:
        times = (
            "1 preemption"
            if search.max_preemptions == 1
            else (f"{search.max_preemptions} preemptions")
        )
        return f"bounded, every schedule with at most {times}, no proof"
    return "bounded, no proof"


def _promise(found: Exploration, sampler: Pct) -> str:
    odds = sampler.odds(found)
    if odds is None:
        return (
            f"no odds can be given: a schedule had {found.deepest} steps, and it was planned"
            f" for {sampler.steps}"
        )
    power = {1: "", 2: f"*{sampler.steps}"}.get(
        sampler.depth, f"*{sampler.steps}^{sampler.depth - 1}"
    )
    return (
        f"each shows a given violation of depth {sampler.depth} with a probability of at least"
        f" 1/({found.tasks}{power}) = 1/{odds}"
    )
