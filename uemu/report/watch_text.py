"""A watched run as lines: a column for each process, one for the device, a decision a line.

uemu: * | =  A [tid 6438] stores: copies pfn 0 to pfn 8
uemu: | | =    pfn 0: B r-, io 1; pfn 8: A rw
"""

from __future__ import annotations

import textwrap

from uemu.report.run_report import PREFIX
from uemu.report.story import WIDTH
from uemu.report.watching import MOST_PFNS, Moment, Watching

MOST_LANES = 12
"""So many processes have a column; what others do is told all the same."""

LEGEND = (
    "a column for each process, the last one for devices: * does it, | lives, = holds frames",
    "rw: a process maps the frame and may store to it; r-: write-protected, a store traps and"
    " the kernel decides; io N: a device holds the frame, whoever maps it",
)


def legend_lines() -> list[str]:
    """What the signs mean."""
    return [line for text in LEGEND for line in _wrapped("", text)]


def in_words(moment: Moment) -> str:
    """``A [tid 6438] forks: ...``; what is no process's begins with what it is about."""
    if moment.mm is None:
        return moment.text
    thread = f"[{moment.cpu}] " if moment.cpu else ""
    return f"{moment.who} {thread}{moment.text}"


def moment_lines(watching: Watching, moment: Moment) -> list[str]:
    """A decision, and who has the frames it is about."""
    lines = _wrapped(_columns(watching, moment), in_words(moment))
    if moment.pfns and not moment.violation:
        shown = moment.pfns[:MOST_PFNS]
        text = "; ".join(f"pfn {pfn}: {watching.owners(pfn)}" for pfn in shown)
        lines += _wrapped(_columns(watching, None), "  " + text)
    return lines


def _columns(watching: Watching, moment: Moment | None) -> str:
    slots = {lane.slot: mm for mm, lane in watching.lanes.items()}
    last = min(max(slots, default=-1) + 1, MOST_LANES)
    signs = []
    for slot in range(last):
        acts = moment is not None and moment.mm is not None and slots.get(slot) == moment.mm
        signs.append("*" if acts else "|" if slot in slots else " ")
    device = "=" if watching.flights else " "
    if moment is not None and moment.mm is None:
        device = "!" if moment.violation else "*"
    return " ".join([*signs, device])


def _wrapped(columns: str, text: str) -> list[str]:
    before = f"{PREFIX}{columns}  " if columns else PREFIX
    after = PREFIX + " " * (len(before) - len(PREFIX)) + "    "
    return textwrap.wrap(
        text, WIDTH, initial_indent=before, subsequent_indent=after,
        break_long_words=False, break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip
