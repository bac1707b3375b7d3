"""The warning of 2009: a program with threads that has used get_user_pages forks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.program.running import PYTHON, uemu_run

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

Program = Callable[[str], Path]

WARNING = "has threads and has let devices into its memory, and forks"
PLACE = re.compile(r"and forks in start_child \(common\.h:[0-9]+\): what is in flight")


@pytest.mark.parametrize("policy", ["linux-2.6.29", "linux-6.5"])
def test_fork_of_a_threaded_program_that_pins_is_warned_of_once(
    policy: str, demo_program: Program, tmp_path: Path
) -> None:
    ran = uemu_run(tmp_path, demo_program("lost_read"), policy=policy)
    (note,) = (note for note in ran.json["notes"] if WARNING in note)
    assert note.startswith("lost_read ")
    assert "posix_spawn(3)" in note
    assert "vfork(2)" in note
    told = " ".join(line.removeprefix("uemu: ").strip() for line in ran.err.splitlines())
    assert told.count(WARNING) == 1


@pytest.mark.needs_libdw
def test_the_warning_says_where_it_forks(demo_program: Program, tmp_path: Path) -> None:
    ran = uemu_run(tmp_path, demo_program("lost_read"), policy="linux-6.5")
    (note,) = (note for note in ran.json["notes"] if WARNING in note)
    assert PLACE.search(note)
    assert PLACE.search(
        " ".join(line.removeprefix("uemu:").strip() for line in ran.err.splitlines())
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lost_read", ("-f", "spawn")),
        ("lost_read", ("-f", "none")),
        ("aio", ()),
        ("reverse_race", ()),
    ],
)
def test_who_has_no_threads_or_does_not_fork_is_not_warned(
    name: str, options: tuple[str, ...], demo_program: Program, tmp_path: Path
) -> None:
    ran = uemu_run(tmp_path, demo_program(name), *options, policy="linux-6.5")
    assert ran.json["stats"]["transfers"] > 0
    assert WARNING not in ran.err


THREADS_WITHOUT_IO = """
import os, threading
gate = threading.Event()
threading.Thread(target=gate.wait).start()
pid = os.fork()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
gate.set()
"""


def test_threads_that_fork_without_a_device_are_not_warned(tmp_path: Path) -> None:
    argv = (PYTHON, "-S", "-W", "ignore", "-c", THREADS_WITHOUT_IO)
    ran = uemu_run(tmp_path, *argv, policy="linux-6.5")
    assert ran.status == 0, ran.err
    assert ran.json["stats"]["forks"] == 1
    assert WARNING not in ran.err
