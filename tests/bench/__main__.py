"""Run the measurements and print them: python -m tests.bench [NAME...].

``survey``, ``plain`` and ``profile`` are commands of their own: see there.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from tests.bench import cow_fault, explorer, machine_life, plain, profile, program_run, survey

BENCHES = {
    "cow-fault": cow_fault,
    "machine": machine_life,
    "explorer": explorer,
    "run": program_run,
}


COMMANDS = {"survey": survey.main, "plain": plain.main, "profile": profile.main}


def main(names: list[str]) -> int:
    """Print each figure with its ratio and limit; 1 if a limit is exceeded."""
    if names and names[0] in COMMANDS:
        return COMMANDS[names[0]](names[1:])
    table = Table("what", "median", "against", "ratio", "limit", "", box=None)
    held = True
    for name in names or BENCHES:
        for figure in BENCHES[name].measure():
            held = held and figure.holds is not False
            sign = {None: "", True: "✓ holds", False: "✗ exceeded"}[figure.holds]
            ratio = f"{figure.ratio:.2f}" if figure.against else ""
            limit = "" if figure.limit is None else f"{figure.limit:g}"
            table.add_row(figure.what, f"{figure.value:.4g} {figure.unit}", figure.against, ratio,
                          limit, sign)  # fmt: skip
    Console(width=100).print(table)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
