"""A run and the words around its drawing, whatever it is drawn as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uemu.report.drawing import DrawnRun, title_line


@dataclass(frozen=True, slots=True)
class Race:
    """A run to be drawn; one without a violation is drawn as well.

    Attributes:
        scenario: its name.
        remark: stands at the end of the title, in parentheses; may be empty.
        legend: what the signs of the states mean, in lines.
        replay: the command that runs it again, in one line to paste.
    """

    scenario: str
    run: DrawnRun
    remark: str = ""
    legend: Sequence[str] = ()
    replay: str = ""

    @property
    def title(self) -> str:
        """The text drawing's title, in one line."""
        return title_line(self.scenario, self.run, remark=self.remark)
