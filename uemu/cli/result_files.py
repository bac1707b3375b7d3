"""``--json`` and ``--svg`` of the commands that draw runs: the same, as files.

The object of ``uemu explore`` or ``uemu replay`` has, beside what was asked for
and how a search went:

verdicts  what was violated, objects of
            kind      what, a name that reports use
            schedule  a run that shows it
            replay    the command that runs it again
            message   what the judge says of it
            story     how it came about: objects of ``event``, ``cpu``,
                      ``address`` (a number or null) and ``text``
drawings  the runs that the terminal shows as drawings, in its order, each as
          `uemu.report.drawing_json` has it; ``schedule`` is what joins a
          verdict and its drawing

The picture has these runs, too, below each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uemu.cli.names import WorldMaker
from uemu.cli.output import JsonFile, TextFile, check_apart, envelope
from uemu.cli.show import race_of, violations_of
from uemu.explore import Run
from uemu.report.drawing_json import drawing_json
from uemu.report.story import in_order
from uemu.report.svg import draw_svg


def add_result_files(parser: argparse.ArgumentParser) -> None:
    """Give a command its ``--json`` and ``--svg``."""
    parser.add_argument("--json", metavar="FILE", help="write the result there, as one object")
    parser.add_argument(
        "--svg", metavar="FILE", help="write what is drawn there, as one picture (SVG)"
    )


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """The files that were asked for; they could be opened when this was made."""

    json: JsonFile | None = None
    svg: TextFile | None = None

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> ResultFiles:
        """Those that the options of `add_result_files` ask for.

        Raises:
            UsageError: one cannot be written, or both are one.
        """
        check_apart(args, "json", "svg")
        json = None if args.json is None else JsonFile(args.json)
        svg = None if args.svg is None else TextFile(args.svg)
        return cls(json, svg)

    def write(
        self,
        maker: WorldMaker,
        drawn: Sequence[Run],
        result: Callable[[], Mapping[str, Any]],
        heads: Sequence[str] = (),
    ) -> None:
        """Write them.

        Args:
            drawn: the runs that the terminal shows, in its order.
            result: makes the object; ``drawings`` is added here.
            heads: lines that stand above the picture.

        Raises:
            UsageError: one cannot be written.
        """
        races = [race_of(maker, run) for run in drawn]
        if self.json is not None:
            self.json.write({**result(), "drawings": [drawing_json(race) for race in races]})
        if self.svg is not None:
            self.svg.write_text(draw_svg(races, heads=heads))


def run_json(command: str, maker: WorldMaker, run: Run) -> dict[str, Any]:
    """The object of a command that shows one run, without its drawing."""
    return envelope(
        command,
        {
            **maker.as_json(),
            "schedule": str(run.schedule),
            "verdicts": [verdict_json(maker, kind, run) for kind in in_order(run.verdicts)],
        },
    )


def verdict_json(maker: WorldMaker, kind: str, run: Run) -> dict[str, Any]:
    """What one kind of violation is, by a run that shows it."""
    told = [each for each in violations_of(maker, run) if each.kind == kind]
    return {
        "kind": kind,
        "schedule": str(run.schedule),
        "replay": maker.replay_command(run.schedule),
        "message": told[0].message if told else run.message,
        "story": [
            {"event": line.event, "cpu": line.cpu, "address": line.address, "text": line.text}
            for line in (told[0].story if told else ())
        ],
    }
