"""Some of the storm (`tests.live.program.storm` has all of it): each program, and uemu killed."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.program.storm import NAMES, Case, case_of, compiler, run_case

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.needs_memfd, pytest.mark.slow]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compile a hostile program, once: ``hostile("timer")``."""
    return compiler(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_left(
    hostile: Callable[[str], Path], tmp_path: Path, name: str, seed: int
) -> None:
    case = dataclasses.replace(case_of(seed, name), fatal=None, hail=seed == 2)
    assert run_case(case, hostile(name), tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("name", ["orphans", "vforks", "stops"])
def test_nothing_is_left_when_uemu_is_killed(
    hostile: Callable[[str], Path], tmp_path: Path, name: str, number: int
) -> None:
    case = Case(3, name, "linux-2.6.29", "held", (number, 0.3), words=("3",))
    assert run_case(case, hostile(name), tmp_path) == []


@pytest.mark.parametrize("dma", ["held", "immediate"])
@pytest.mark.parametrize(
    "name", ["vfork-without-vm", "dead-leader", "untraced", "unmapped-in-flight", "exec-in-fork"]
)
def test_a_race_that_was_lost_once_is_not_lost_again(
    hostile: Callable[[str], Path], tmp_path: Path, name: str, dma: str
) -> None:
    case = Case(0, "races", "linux-6.5", dma, None, words=(name,), status=0)
    assert run_case(case, hostile("races"), tmp_path) == []
