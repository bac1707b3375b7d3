"""What real kernels did with io_uring's registered buffers, and with vmsplice, done by a program.

Every row of the ground truth of theirs that a program can carry out by itself under
`uemu run`. The rest: clear_refs, reclaim and KSM do not happen to programs; huge pages
are none here; a page that was never touched is one of the program's own once it is a frame.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from tests.ground_truth.probe import Row, read_rows
from tests.ground_truth.test_ground_truth import STANDS_FOR
from tests.live.program.conftest import OURS, TRUTH, compile_program
from tests.live.program.running import Ran, uemu_run
from tests.live.program.test_mutants import command_of, said

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.needs_memfd]

NOT_OF_PROGRAMS = {"a4", "f1", "f2", "f3", "k1", "k2", "t1", "t2", "t3", "h1", "h2", "z1"}

ROWS = [
    row
    for row in read_rows()
    if row.pin in ("io_uring", "vmsplice") and row.seen and row.case not in NOT_OF_PROGRAMS
]

CASES = [
    *((row, how) for row in ROWS for how in ("single", "linked") if row.pin == "io_uring"),
    *((row, "vmsplice") for row in ROWS if row.pin == "vmsplice"),
]

TOLD = {
    ("5.10.223", "io_uring"): {"lost-dma-write"},  # a3
    ("4.19.13", "vmsplice"): {"secret-leak"},  # c2, c5, d1
}
"""What is violated in a kernel's rows; in all others, nothing."""

LOST_BY_MPROTECT = ("5.10.223", "a3", "io_uring")


@pytest.fixture(scope="session")
def carried_out(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, str], tuple[Ran, dict[str, dict[str, str]]]]:
    """A kernel's rows, in one run: how it ended, and what each row's places showed."""
    folder = tmp_path_factory.mktemp("truth")
    program = compile_program(folder / "rows", TRUTH / "rows.c", *OURS)

    @functools.cache
    def ran(kernel: str, how: str) -> tuple[Ran, dict[str, dict[str, str]]]:
        pin = "vmsplice" if how == "vmsplice" else "io_uring"
        mine = [row for row in ROWS if (row.kernel, row.pin) == (kernel, pin)]
        rows = [word for row in mine for word in (row.case, row.steps)]
        done = uemu_run(folder, program, how, *rows, policy=STANDS_FOR[kernel])
        seen = {}
        for case, *places in (line.split() for line in done.out.splitlines()):
            pairs = (place.split("=") for place in places)
            seen[case] = {place: {"-": "none"}.get(letter, letter) for place, letter in pairs}
        return done, seen

    return ran


def needing(how: str, *values: object) -> ParameterSet:
    """A test of rows carried out in one way, which the machine may not have."""
    needs = [pytest.mark.needs_kernel("io_uring")] if how != "vmsplice" else []
    return pytest.param(*values, how, marks=needs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "how"),
    [needing(how, row) for row, how in CASES],
    ids=[f"{row.kernel}-{row.case}-{how}" for row, how in CASES],
)
def test_a_program_sees_what_the_real_kernel_showed(
    carried_out: Callable[[str, str], tuple[Ran, dict[str, dict[str, str]]]], row: Row, how: str
) -> None:
    done, seen = carried_out(row.kernel, how)
    assert {place: seen[row.case].get(place) for place in row.seen} == row.seen, done.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "how"),
    [
        needing(how, kernel)
        for kernel, how in sorted({(row.kernel, how) for row, how in CASES if how != "linked"})
    ],
)
def test_what_is_violated_is_told_and_nothing_else_is(
    carried_out: Callable[[str, str], tuple[Ran, dict[str, dict[str, str]]]], kernel: str, how: str
) -> None:
    done, _ = carried_out(kernel, how)
    pin = "vmsplice" if how == "vmsplice" else "io_uring"
    assert done.kinds == TOLD.get((kernel, pin), set())
    assert done.json["stats"]["transfers_over_fork"] > 0


@pytest.mark.slow
@pytest.mark.needs_kernel("io_uring")
def test_a_kernel_that_is_not_told_of_mprotect_keeps_what_5_10_loses(tmp_path: Path) -> None:
    (a3,) = (row for row in ROWS if (row.kernel, row.case, row.pin) == LOST_BY_MPROTECT)
    assert a3.seen["parent_dma"] == "I"
    program = compile_program(tmp_path / "rows", TRUTH / "rows.c", *OURS)
    command = command_of(
        program, "linux-5.11", "held", "mappings.Mappings._protect", "lambda *args: None"
    )
    row = said(tmp_path, [*command, "single", a3.case, a3.steps])
    assert "parent_dma=D" in row.split()


def test_the_rows_are_there() -> None:
    kernels = {"4.19.13", "5.10.223", "6.1.176", "6.18.44"}
    assert {row.kernel for row in ROWS if row.pin == "vmsplice"} == kernels
    assert {row.kernel for row in ROWS if row.pin == "io_uring"} == kernels - {"4.19.13"}
    assert Counter(row.pin for row in ROWS) == {"io_uring": 3 * 17, "vmsplice": 4 * 9}
