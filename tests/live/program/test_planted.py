"""Programs with a bug planted in them: each is diagnosed with the right lines and remedy.

The lines are marked in the sources: ``/* takes */`` gives memory to a device,
``/* forks */`` forks, ``/* breaks */`` is the store that breaks COW. Compiled with
-DMENDED each is sound, and nothing is said of it.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.live.program.conftest import OURS, PROGRAMS, compile_program
from tests.live.program.running import MAIN, PYTHON, Ran, uemu_run

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.needs_libdw, pytest.mark.slow]

PLANTED = Path(__file__).with_name("planted")
OLD = "linux-2.6.29"

Planted = Callable[[str, bool], Path]


class Bug(NamedTuple):
    """What is to be found out about a program.

    Attributes:
        memory: what the buffer lies in.
        beside: bytes before and after it on its pages.
        remedies: those that are to be named, each with words it has to have.
        marks: the lines that events of the story are to come from.
        kind: what is violated.
        newer: a remedy that names a kernel, and which.
        needs: of this machine.
    """

    memory: str
    beside: tuple[int, int]
    remedies: dict[str, str]
    marks: dict[str, str]
    kind: str = "lost-dma-write"
    newer: tuple[str, str] = ("a newer kernel", "6.5")
    needs: tuple[pytest.MarkDecorator, ...] = ()


TAKEN = {"got": "takes", "forked": "forks"}
BUGS = {
    "neighbours": Bug(
        "anonymous",
        (-1, -1),
        {"whole pages": "give it 4096 bytes instead of 512", "MADV_DONTFORK": "4096, MADV_DON"},
        {**TAKEN, "copied": "takes"},
    ),
    "half_page": Bug(
        "variable",
        (0, 2048),
        {"whole pages": "4096 bytes instead of 2048", "MADV_DONTFORK": "the 2048 bytes after it"},
        {**TAKEN, "copied": "breaks"},
    ),
    "aio_over_fork": Bug(
        "heap",
        (-1, -1),
        {"posix_spawn, vfork": "in place of fork in start_helper (aio_over_fork.c:"},
        {**TAKEN, "copied": "breaks"},
    ),
    "stack_buffer": Bug(
        "stack",
        (0, 3584),
        {"MADV_DONTFORK": "the child runs on this stack", "whole pages": "align the buffer"},
        {**TAKEN, "copied": "breaks"},
    ),
    "registered_over_fork": Bug(
        "variable",
        (0, 3584),
        {"MADV_DONTFORK": "4096, MADV_DON", "whole pages": "4096 bytes instead of 512"},
        {**TAKEN, "copied": "breaks"},
        newer=("a newer kernel", "5.9"),
        needs=(pytest.mark.needs_kernel("io_uring"),),
    ),
    "pipe_leak": Bug(
        "anonymous",
        (0, 0),
        {"MADV_DONTFORK": "4096, MADV_DON", "posix_spawn, vfork": "in place of fork"},
        {"got": "takes", "stored": "breaks"},
        kind="secret-leak",
        newer=("a newer kernel", "v5.8"),
    ),
}
NAMES = [pytest.param(name, marks=bug.needs) for name, bug in BUGS.items()]


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Compile a program of planted/, as it is or mended, once."""
    folder = tmp_path_factory.mktemp("planted")

    @functools.cache
    def compiled(name: str, is_mended: bool) -> Path:
        flags = (*OURS, "-I", str(PROGRAMS), *(("-DMENDED",) if is_mended else ()))
        output = folder / name / ("mended" if is_mended else name)
        output.parent.mkdir(exist_ok=True)
        return compile_program(output, PLANTED / f"{name}.c", *flags)

    return compiled


def marked(name: str, mark: str) -> int:
    """The line of a source that has a mark."""
    lines = (PLANTED / f"{name}.c").read_text().splitlines()
    (number,) = (number for number, line in enumerate(lines, 1) if f"/* {mark} */" in line)
    return number


def lines_of(name: str, stack: list[dict[str, Any]]) -> list[int]:
    """The lines of a program's own source in a stack, the innermost first."""
    return [each["line"] for each in stack if os.path.basename(each["file"]) == f"{name}.c"]


def lost(ran: Ran, kind: str = "lost-dma-write") -> dict[str, Any]:
    """The lost read of a run, or what else was violated."""
    found: dict[str, Any] = next(each for each in ran.json["violations"] if each["kind"] == kind)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_bug_is_diagnosed_with_its_lines_and_its_remedy(
    name: str, planted: Planted, tmp_path: Path
) -> None:
    bug = BUGS[name]
    ran = uemu_run(tmp_path, planted(name, False), policy=OLD)
    assert ran.status == 1, ran.err
    violation = lost(ran, bug.kind)
    by_event = {line["event"]: line for line in violation["story"]}
    for event, mark in bug.marks.items():
        assert lines_of(name, by_event[event]["stack"])[0] == marked(name, mark), event
        assert f"({name}.c:{marked(name, mark)})" in ran.err
    buffer = violation["buffer"]
    assert buffer["memory"] == bug.memory
    if bug.beside != (-1, -1):
        assert (buffer["before"], buffer["after"]) == bug.beside
    remedies = {each["name"]: each["text"] for each in violation["remedies"]}
    for remedy, words in bug.remedies.items():
        assert words in remedies[remedy]
    remedy, kernel = bug.newer
    assert kernel in remedies[remedy]


@pytest.mark.parametrize("name", NAMES)
def test_its_mended_version_is_clean(name: str, planted: Planted, tmp_path: Path) -> None:
    ran = uemu_run(tmp_path, planted(name, True), policy=OLD)
    assert (ran.status, ran.kinds) == (0, set()), ran.err
    assert ran.json["stats"]["transfers"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_newer_kernel_it_names_is_one(name: str, planted: Planted, tmp_path: Path) -> None:
    ran = uemu_run(tmp_path, planted(name, False), policy="linux-6.5")
    assert (ran.status, ran.kinds) == (0, set()), ran.err
    assert ran.json["stats"]["transfers_over_fork"] > 0


def test_a_neighbour_in_flight_is_named(planted: Planted, tmp_path: Path) -> None:
    ran = uemu_run(tmp_path, planted("neighbours", False), policy=OLD)
    violation = lost(ran)
    buffer = violation["buffer"]
    assert buffer["before"] + buffer["after"] == 4096 - 512
    base = buffer["address"] & ~4095
    near = [(each["address"] - base, each["length"]) for each in buffer["neighbours"]]
    assert near
    assert all(at % 512 == 0 and at < 2048 and length == 512 for at, length in near)
    assert f"{base + near[0][0]:#x} to" in ran.err.replace("uemu:     ", "")


def test_what_is_known_of_the_buffer_is_suppressed_by_its_line(
    planted: Planted, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    line = marked("half_page", "takes")
    known.write_text(f"{{\n  the ring\n  uemu:*\n  ...\n  src:half_page.c:{line}\n}}\n")
    options = ("--suppressions", str(known), "--error-exitcode", "9")
    ran = uemu_run(tmp_path, planted("half_page", False), policy=OLD, options=options)
    assert (ran.status, ran.kinds) == (1, set()), ran.err
    assert ran.json["suppressed"] == {"the ring": 2}
    known.write_text(f"{{\n  the ring\n  uemu:*\n  ...\n  src:half_page.c:{line + 1}\n}}\n")
    ran = uemu_run(tmp_path, planted("half_page", False), policy=OLD, options=options)
    assert ran.status == 9


# Mutants: without what tells it, it is not known

MUTANTS: dict[str, tuple[str, str, Callable[[str, dict[str, Any]], bool]]] = {
    "the first stop of a run for every event": (
        "half_page",
        "from uemu.live.program.stacks import Stacks as S; take = S._take; kept = []\n"
        "S._take = lambda s, t: kept[0] if kept else (kept.append(take(s, t)), kept[0])[1]",
        lambda name, lost: (
            lines_of(name, _of(lost, "copied")["stack"])[0] == marked(name, "breaks")
        ),
    ),
    "nobody remembers what memory was before": (
        "aio_over_fork",
        "from uemu.live.program.origins import Origins; Origins.find = lambda *_: None",
        lambda name, lost: lost["buffer"]["memory"] == "heap",
    ),
    "a page of ours is taken for the program's": (
        "half_page",
        "from uemu.host.libdw import Image; Image._module_of_data = "
        "lambda s, a: s._lib.dwfl_addrmodule(s._dwfl, a)",
        lambda name, lost: lost["buffer"]["memory"] == "variable",
    ),
    "who is in flight does not meet": (
        "neighbours",
        "from uemu.oracle.buffers import WatchedIo; WatchedIo.meet = lambda *_: None",
        lambda name, lost: lost["buffer"]["neighbours"] != [],
    ),
}


def _of(violation: dict[str, Any], event: str) -> dict[str, Any]:
    """The first line of a story that is of that kind."""
    line: dict[str, Any] = next(each for each in violation["story"] if each["event"] == event)
    return line


@pytest.mark.parametrize("what", MUTANTS)
def test_without_what_tells_it_the_diagnosis_is_another(
    what: str, planted: Planted, tmp_path: Path
) -> None:
    name, mutation, is_right = MUTANTS[what]
    program, report = planted(name, False), tmp_path / "run.json"
    options = ["run", "--policy", OLD, "--json", str(report), "--", str(program)]
    for main, expected in ((MAIN, True), (f"{mutation}\n{MAIN}", False)):
        done = subprocess.run(
            [PYTHON, "-c", main, *options], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1, done.stderr
        violations = json.loads(report.read_text())["violations"]
        found = next(each for each in violations if each["kind"] == "lost-dma-write")
        assert is_right(name, found) is expected
