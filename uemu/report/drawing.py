"""A run as the kernel people draw races: a column per CPU, a note, the state after.

Race: child-corrupted uemu1:0001111002 -> dma-write-seen-by-other (linux-2.6.29)

    #  io                   fork              child  note                  state
    -  -------------------  ----------------  -----  --------------------  ----------
    0  get_user_pages_fast                           interrupts off        0: 1/1 1/1
    1  gup_pte_range                                 writable ?            0: 1/1 1/1
    2  get_page                                      hold pfn 0            0: 2/1 1/1
    3                       dup_mmap                 mmap_sem for writing  0: 2/1 1/1
    4                       copy_one_pte             share read-only       0: 3/2 1/1
    5                       copy_one_pte             share read-only       0: 3/2 2/2
    6                       flush_tlb_others         IPI to io             0: 3/2 2/2
    7  dma                                           b'D' -> pfn 0         0: 3/2 2/2
    8  put_page                                      release pfn 0         0: 2/2 2/2
    9                                         load   child reads           0: 2/2 2/2

A cell names the kernel function that takes the step, the note says what the
step does, and the state is the world right after it. The text is the same
for the same run, has no colours, and stays under 100 columns: cells go on in
the next line where that costs the fewest lines, and a note may be cut in the
end, but never a function. Where the tasks are too many, they share a column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol, TypeVar

from uemu.report.columns import ELLIPSIS, Column, fit, fold, lay_out
from uemu.report.story import verdict_text
from uemu.step import Step

WIDTH = 99
"""The widest line of a drawing, its indentation included."""

NARROWEST = 60

INDENT = "    "

FIRST, LAST = 200, 100
"""Of a very long run, one that retries for ever, so many steps are drawn."""

T = TypeVar("T")

_NUMBER = Column("#")
_NOTE = Column("note", 14, 4, lines=3)
_STATE = Column("state", 10, 5)
_TASK, _FUNCTION = Column("task", 8, 6), Column("function", 10, 6)


class DrawnStep(Protocol):
    """One step that was taken.

    Attributes:
        index: its number, from 0.
        task_index, task_name: who took it.
        step: its label.
        state: the world right after it.
    """

    @property
    def index(self) -> int: ...
    @property
    def task_index(self) -> int: ...
    @property
    def task_name(self) -> str: ...
    @property
    def step(self) -> Step: ...
    @property
    def state(self) -> str: ...


class DrawnRun(Protocol):
    """What a drawing shows.

    Attributes:
        schedule: its text form is what replays the run.
        records: the steps, in order.
        verdicts: the names of what was violated.
    """

    @property
    def schedule(self) -> object: ...
    @property
    def records(self) -> Sequence[DrawnStep]: ...
    @property
    def verdicts(self) -> Collection[str]: ...


def draw(scenario: str, run: DrawnRun, *, remark: str = "") -> str:
    """Draw a run, with its title.

    Args:
        remark: stands at the end of the title, in parentheses: the variant
            of the policy, where it is not the plain one.
    """
    lines = [*title(scenario, run, remark=remark), "", *draw_steps(run.records)]
    return "\n".join(lines) + "\n"


def title(scenario: str, run: DrawnRun, *, remark: str = "", width: int = WIDTH) -> list[str]:
    """``Race: SCENARIO SCHEDULE -> VERDICTS``, in more lines where one is too short."""
    line = title_line(scenario, run, remark=remark)
    if len(line) <= width:
        return [line]
    head, _, what = line.partition(" -> ")
    first, *rest = fold(head, width - len(INDENT))
    return [first, *_indented([*rest, *fold(f"-> {what}", width - len(INDENT))])]


def title_line(scenario: str, run: DrawnRun, *, remark: str = "") -> str:
    """The title in one line, however long."""
    line = f"Race: {scenario} {run.schedule} -> {verdict_text(run.verdicts)}"
    return f"{line} ({remark})" if remark else line


def draw_steps(records: Sequence[DrawnStep], width: int = WIDTH) -> list[str]:
    """The table alone, indented as it stands below its title.

    Args:
        width: the widest line, for a narrow terminal; at least `NARROWEST`.
    """
    width = max(width, NARROWEST) - len(INDENT)
    columns, rows = table(records)
    widths = fit(columns, rows, width)
    if widths is None:
        columns = [_NUMBER, _TASK, _FUNCTION, _NOTE, _STATE]
        rows = _elided(
            [[str(r.index), r.task_name, r.step.fn, r.step.what, r.state] for r in records]
        )
        widths = fit(columns, rows, width)
        assert widths is not None, "five columns at their narrowest fit"
    return _indented(lay_out(columns, rows, widths))


def cpus(records: Iterable[DrawnStep]) -> dict[int, str]:
    """Who took steps, by index, in the order of the columns."""
    return dict(sorted({record.task_index: record.task_name for record in records}.items()))


def table(records: Sequence[DrawnStep]) -> tuple[list[Column], list[list[str]]]:
    """A column per task, with the rows; of very many steps the `ends`, a row between them."""
    tasks = cpus(records)
    columns = [_NUMBER, *(Column(name, 10, 6) for name in tasks.values()), _NOTE, _STATE]
    return columns, _elided([_row(record, tasks) for record in records])


def ends(rows: Sequence[T]) -> tuple[Sequence[T], int, Sequence[T]]:
    """Of very many the first, how many to leave out, and the last; of others all, 0, none."""
    missing = len(rows) - FIRST - LAST
    return (rows[:FIRST], missing, rows[-LAST:]) if missing > 0 else (rows, 0, ())


def _row(record: DrawnStep, order: Iterable[int]) -> list[str]:
    tasks = [record.step.fn if index == record.task_index else "" for index in order]
    return [str(record.index), *tasks, record.step.what, record.state]


def _elided(rows: list[list[str]]) -> list[list[str]]:
    """Leave out the middle of a very long run, and say so."""
    first, missing, last = ends(rows)
    if not missing:
        return rows
    blanks = [""] * (len(rows[0]) - 3)
    return [*first, [ELLIPSIS, *blanks, f"{missing} more steps", ELLIPSIS], *last]


def _indented(lines: Iterable[str]) -> list[str]:
    return [(INDENT + line).rstrip() for line in lines]
