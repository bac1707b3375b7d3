"""What real kernels did with io_uring's registered buffers, done by a program under `uemu run`.

Every row of the ground truth that a program can carry out by itself. The rest:
clear_refs, reclaim and KSM do not happen to programs; huge pages are none here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from tests.ground_truth.probe import Row, read_rows
from tests.ground_truth.test_ground_truth import STANDS_FOR
from tests.live.program.conftest import OURS, TRUTH, compile_program
from tests.live.program.running import Ran, uemu_run

pytestmark = [
    pytest.mark.needs_ptrace,
    pytest.mark.needs_memfd,
    pytest.mark.needs_kernel("io_uring"),
]

NOT_OF_PROGRAMS = {"a4", "f1", "f2", "f3", "k1", "k2", "t1", "t2", "t3", "h1", "h2"}

ROWS = [
    row
    for row in read_rows()
    if row.pin == "io_uring" and row.seen and row.case not in NOT_OF_PROGRAMS
]

LOST = {("5.10.223", "a3")}
"""Rows in which the parent does not see what was read for it."""


@pytest.fixture(scope="session")
def carried_out(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, str], tuple[Ran, dict[str, dict[str, str]]]]:
    """A kernel's rows, in one run: how it ended, and what each row's places showed."""
    folder = tmp_path_factory.mktemp("truth")
    program = compile_program(folder / "registered", TRUTH / "registered.c", *OURS)

    @functools.cache
    def ran(kernel: str, how: str) -> tuple[Ran, dict[str, dict[str, str]]]:
        rows = [word for row in ROWS if row.kernel == kernel for word in (row.case, row.steps)]
        done = uemu_run(folder, program, how, *rows, policy=STANDS_FOR[kernel])
        seen = {}
        for case, *places in (line.split() for line in done.out.splitlines()):
            pairs = (place.split("=") for place in places)
            seen[case] = {place: {"-": "none"}.get(letter, letter) for place, letter in pairs}
        return done, seen

    return ran


@pytest.mark.slow
@pytest.mark.parametrize("how", ["single", "linked"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kernel}-{row.case}")
def test_a_program_sees_what_the_real_kernel_showed(
    carried_out: Callable[[str, str], tuple[Ran, dict[str, dict[str, str]]]], row: Row, how: str
) -> None:
    done, seen = carried_out(row.kernel, how)
    assert {place: seen[row.case].get(place) for place in row.seen} == row.seen, done.err


@pytest.mark.slow
@pytest.mark.parametrize("kernel", sorted({row.kernel for row in ROWS}))
def test_what_is_lost_is_told_and_nothing_else_is(
    carried_out: Callable[[str, str], tuple[Ran, dict[str, dict[str, str]]]], kernel: str
) -> None:
    done, _ = carried_out(kernel, "single")
    lost = any(row.kernel == kernel and (kernel, row.case) in LOST for row in ROWS)
    assert done.kinds == ({"lost-dma-write"} if lost else set())
    assert done.json["stats"]["transfers_over_fork"] > 0


def test_the_rows_are_there() -> None:
    assert {row.kernel for row in ROWS} == {"5.10.223", "6.1.176", "6.18.44"}
    assert len({row.case for row in ROWS}) == 17
    assert all(any((row.kernel, row.case) == lost for row in ROWS) for lost in LOST)
