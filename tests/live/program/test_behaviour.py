"""Programs of one behaviour each run under uemu as they do without it.

That is the evidence: what they print and how they end is compared with a run
on this machine's kernel, which they call right themselves (EXIT-SUCCESS).
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from tests.live.program.conftest import BEHAVIOUR
from tests.live.program.running import MAIN

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.needs_memfd, pytest.mark.slow]

REFUSED = "refused"
"""The one that is not to run as without uemu."""

NAMES = sorted(source.stem for source in BEHAVIOUR.glob("*.c") if source.stem != REFUSED)
RUNS = [
    [("linux-2.6.29", "held"), ("linux-6.5", "immediate")],
    [("linux-2.6.29", "immediate"), ("linux-6.5", "held")],
]
"""Programs take turns: each is run under both policies and both schedules."""

Compiled = Callable[[str], Path]


def needing(name: str, policy: str, dma: str) -> ParameterSet:
    """A run of a program, and what it needs of the machine."""
    needs = [pytest.mark.needs_kernel("io_uring")] if name.startswith("uring") else []
    return pytest.param(name, policy, dma, marks=needs)


def uemu(policy: str, dma: str, *argv: str | Path) -> list[str]:
    """A command line."""
    options = ["--policy", policy, "--dma", dma]
    return [sys.executable, "-c", MAIN, "run", *options, "--", *map(str, argv)]


def run(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, for half a minute at most."""
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="session")
def native(
    behaviour: Compiled, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """How a program runs without uemu, once."""

    @functools.cache
    def ran(name: str) -> subprocess.CompletedProcess[str]:
        done = run(tmp_path_factory.mktemp("native"), [str(behaviour(name))])
        assert done.stdout.endswith("EXIT-SUCCESS\n"), done
        assert (done.returncode, done.stderr) == (0, "")
        return done

    return ran


@pytest.mark.parametrize(
    ("name", "policy", "dma"),
    [needing(name, *run) for turn, name in enumerate(NAMES) for run in RUNS[turn % 2]],
)
def test_a_program_runs_as_without_uemu(
    behaviour: Compiled,
    native: Callable[[str], subprocess.CompletedProcess[str]],
    tmp_path: Path,
    name: str,
    policy: str,
    dma: str,
) -> None:
    done = run(tmp_path, uemu(policy, dma, behaviour(name)))
    assert done.stdout == native(name).stdout, done.stderr
    assert done.returncode == 0


SAID = (
    "IORING_SETUP_IOPOLL is not supported: io_uring_setup is refused (EINVAL)",
    "IORING_SETUP_SQPOLL is not supported: io_uring_setup is refused (EINVAL)",
    "io_uring_setup with flags 0x40000000 is not supported: it is refused (EINVAL)",
    "IORING_REGISTER_RING_FDS is not supported: it is refused (EINVAL)",
    "io_uring: IORING_OP_POLL_ADD linked to direct I/O or a registered buffer is not supported",
    "io_uring: IOSQE_IO_DRAIN beside direct I/O or registered buffers is not supported",
    "ptrace is not supported inside: a program that traces others is refused (EPERM)",
    "CLONE_UNTRACED is not supported: such a clone is refused (EPERM)",
    "process_madvise of memory that devices have had to do with is not supported"
    " but for hints: it is refused (EINVAL), madvise is not",
)
"""Once each, however often it was tried."""

REFUSALS = """\
io_uring_setup, polled: EINVAL
io_uring_setup, with a thread: EINVAL
io_uring_setup, of the future: EINVAL
ptrace: EPERM
CLONE_UNTRACED: EPERM
clone: done
process_madvise: EINVAL
process_madvise, a hint: done
it is as it was
madvise: done
"""


IN_A_RING = """\
RING_FDS: EINVAL
refused: 3
DRAIN: EOPNOTSUPP
a read after that: EOPNOTSUPP
"""


@pytest.mark.needs_kernel("io_uring")
@pytest.mark.parametrize(("policy", "dma"), RUNS[0])
def test_what_is_not_supported_is_refused_and_said_once(
    behaviour: Compiled, tmp_path: Path, policy: str, dma: str
) -> None:
    done = run(tmp_path, uemu(policy, dma, behaviour(REFUSED)))
    assert done.stdout == (
        f"{2 * REFUSALS}{IN_A_RING}ptrace in a child: EPERM\n"
        "io_uring_setup in a child, polled: EINVAL\n"
        "PR_SET_NO_NEW_PRIVS: done\nEXIT-SUCCESS\n"
    )
    assert done.returncode == 0
    said = " ".join(done.stderr.replace("uemu:", "").split())
    assert [said.count(text) for text in SAID] == [1] * len(SAID)


@pytest.mark.needs_kernel("io_uring")
def test_without_uemu_it_is_not_refused(behaviour: Compiled, tmp_path: Path) -> None:
    done = run(tmp_path, [str(behaviour(REFUSED))])
    assert "CLONE_UNTRACED: done" in done.stdout
    assert "ptrace: done" in done.stdout
