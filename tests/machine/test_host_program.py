"""A machine inside a program that has children and threads of its own, and dies itself.

What is promised: a machine never reaps a child of the program; waiting for a
child by its pid, as `subprocess` does, is never disturbed. A wait for *any*
child returns the program's own children, but counts the machine's processes
among those there are; in another thread, while the machine works, it could
take what belongs to the machine.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import uemu
from tests.live.processes import Watch, fork, own_resources, state

pytestmark = pytest.mark.needs_ptrace

PAGE = uemu.PAGE_SIZE
ROOT = Path(__file__).resolve().parents[2]


def work(machine: uemu.Machine, rounds: int = 100) -> None:
    """Let a machine's tracer wait for its processes many times."""
    parent = machine.spawn()
    buf = parent.mmap(PAGE)
    for _ in range(rounds):
        parent.store(buf, b"x")
        child = parent.fork()
        child.store(buf, b"y")
        child.exit()


def wait_for_end(process: subprocess.Popen[bytes]) -> None:
    """Wait until a child has ended, and leave it a zombie."""
    pidfd = os.pidfd_open(process.pid)
    try:
        assert select.select([pidfd], [], [], 20)[0]
    finally:
        os.close(pidfd)


def python(code: str, *, expect: int = 0) -> str:
    """Run a Python program in a process of its own; what it printed."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == expect, run.stderr
    return run.stdout


# Its children


def test_a_child_that_exits_while_a_machine_works_is_left_to_the_program() -> None:
    with uemu.Machine() as machine:
        child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
        wait_for_end(child)
        work(machine)
        assert state(child.pid) == "Z"
        assert child.wait() == 3


def test_children_that_end_at_any_time_are_left_to_the_program() -> None:
    with uemu.Machine() as machine:
        children = [subprocess.Popen(["/bin/sh", "-c", f"exit {n}"]) for n in range(20)]
        work(machine)
        assert [child.wait() for child in children] == list(range(20))


def test_waiting_for_any_child_gives_the_programs_own() -> None:
    # In a program of its own: pools of workers, in other tests, leave children behind.
    python(
        """
        import os, uemu
        with uemu.Machine() as machine:
            process = machine.spawn()
            buf = process.mmap(uemu.PAGE_SIZE)
            process.store(buf, b"x")
            child = os.fork()
            if child == 0:
                os._exit(7)
            assert os.waitpid(-1, 0) == (child, 7 << 8)
            # No other has ended; but the machine's processes are there.
            assert os.waitpid(-1, os.WNOHANG) == (0, 0)
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            raise SystemExit(0)
        raise SystemExit("a child is left")
        """
    )


def test_the_program_may_have_children_that_the_machine_traces_not() -> None:
    child = fork()
    if child == 0:
        signal.pause()
    with uemu.Machine() as machine:
        work(machine, 3)
        assert state(child) == "S"
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0) == (child, signal.SIGKILL)


def test_a_fork_of_the_program_leaves_the_machine_alone() -> None:
    out = python("""
        import os, sys, uemu
        machine = uemu.Machine("linux-2.6.29")
        process = machine.spawn()
        buf = process.mmap(4096)
        process.store(buf, b"I")
        child = os.fork()
        if child == 0:
            try:
                process.load(buf, 1)
            except uemu.HostError as error:
                print(error.why.replace(str(os.getppid()), "N"))
            with uemu.Machine() as another:
                print(another.spawn().alive)
            machine.close()
            sys.exit(5)  # with atexit and all
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        print(process.load(buf, 1), process.alive)
    """)
    assert out.splitlines() == [
        "it belongs to process N, and this is a fork of it",
        "True",
        "5",
        "b'I' True",
    ]


@pytest.mark.parametrize("handler", ["signal.SIG_IGN", "lambda *_: seen.append(1)"])
def test_what_the_program_does_with_sigchld_is_its_own_affair(handler: str) -> None:
    out = python(f"""
        import os, signal, uemu
        seen = []
        signal.signal(signal.SIGCHLD, {handler})
        with uemu.Machine("linux-2.6.29") as machine:
            one, other = machine.spawn(), machine.spawn()
            buf = one.mmap(4096)
            one.store(buf, b"x")
            child = one.fork()
            os.kill(other.pid, signal.SIGKILL)
            try:
                other.mmap(4096)
            except uemu.ProcessDied as died:
                print(died.how)
            one.exit()
            print(child.load(buf, 1), one.alive)
    """)
    assert out.splitlines() == ["was killed by SIGKILL", "b'x' False"]


# Its threads


def test_several_threads_of_the_program_use_one_machine() -> None:
    with uemu.Machine("linux-2.6.29") as machine:
        wrong: list[str] = []

        def use(number: int) -> None:
            letter = bytes([65 + number])
            process = machine.spawn(f"process-{number}")
            buf = process.mmap(2 * PAGE)
            process.store(buf, letter * 2 * PAGE)
            for _ in range(10):
                child = process.fork()
                child.store(buf + PAGE - 1, b"..")
                if process.load(buf, 2 * PAGE) != letter * 2 * PAGE:
                    wrong.append(process.name)
                child.exit()

        threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert len(machine.pfns) == 12
        machine.check()


def test_threads_of_the_program_have_machines_of_their_own() -> None:
    before = own_resources()
    errors: list[BaseException] = []

    def use() -> None:
        try:
            with uemu.Machine() as machine:
                work(machine, 10)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert own_resources() == before


# Its end


FAMILY = """
    import sys, uemu
    machine = uemu.Machine("linux-2.6.29")
    parent = machine.spawn()
    buf = parent.mmap(4096)
    parent.store(buf, b"x")
    thread = parent.thread()
    child = parent.fork()
    grandchild = child.fork()
    print(parent.pid, child.pid, grandchild.pid, flush=True)
"""


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM", "os._exit(0)"])
def test_a_program_that_is_killed_or_leaves_at_once_leaves_no_traced_process(end: str) -> None:
    code = textwrap.dedent(FAMILY) + f"import os; sys.stdin.read(); {end if '(' in end else ''}\n"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as host:
        assert host.stdin is not None
        assert host.stdout is not None
        pids = [int(pid) for pid in host.stdout.readline().split()]
        assert [state(pid) for pid in pids] == ["t", "t", "t"]
        watch = Watch(pids)
        if "(" in end:
            host.stdin.close()
        else:
            host.send_signal(signal.Signals[end])
        assert watch.ended() == set(pids)


@pytest.mark.parametrize(
    ("end", "status"),
    [("", 0), ("sys.exit(3)", 3), ("1 / 0", 1), ("del machine, parent, child, grandchild", 0)],
)
def test_a_machine_nobody_closes_ends_with_the_program(end: str, status: int) -> None:
    pids = [int(pid) for pid in python(textwrap.dedent(FAMILY) + end, expect=status).split()]
    assert len(pids) == 3
    assert [state(pid) for pid in pids] == [None, None, None]
