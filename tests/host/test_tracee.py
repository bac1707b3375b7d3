"""The typed face of the helper's part for programs, on a real puppet as the program."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.live import no_ptrace
from tests.live.processes import own_resources, state
from uemu.host import native, tracee
from uemu.host.tracee import Ranges, Stop

PUPPET = str(native.PUPPET)
SYS_GETPID, SYS_EXECVE, SYS_KILL = 39, 59, 62
SYSCALL_INT3 = 0xCC050F


@pytest.fixture
def program() -> Iterator[int]:
    """A program's pid, stopped before its first instruction."""
    pid = tracee.start(PUPPET, ["program", "an argument"], ["NAME=value"])
    yield pid
    native.end(pid)


def stopped_as(kind: int, code: int = 0, msg: int = 0) -> Stop:
    return Stop(1, kind, code, 0, 0, msg, 0, (0,) * 6)


# Reports


@pytest.mark.parametrize(
    ("kind", "is_end"),
    [
        (native.EXITED, True),
        (native.KILLED, True),
        (native.EVENT, False),
        (native.SIGNAL, False),
        (native.SEGV, False),
        (tracee.SECCOMP, False),
    ],
)
def test_who_exited_or_was_killed_is_gone(kind: int, is_end: bool) -> None:
    assert stopped_as(kind).is_end is is_end


@pytest.mark.parametrize(
    ("kind", "code", "msg", "is_plain"),
    [
        (native.EVENT, native.EVENT_STOP, signal.SIGTRAP, True),
        (native.EVENT, native.EVENT_STOP, signal.SIGSTOP, False),
        (native.EVENT, tracee.EVENT_FORK, signal.SIGTRAP, False),
        (native.SIGNAL, native.EVENT_STOP, signal.SIGTRAP, False),
        (native.TRAP, 0, 0, False),
    ],
)
def test_a_stop_that_was_asked_for_is_plain(kind: int, code: int, msg: int, is_plain: bool) -> None:
    assert stopped_as(kind, code, msg).is_plain is is_plain


def test_a_report_that_is_kept_does_not_change() -> None:
    event: Any = native.new_event()
    event.tid, event.kind, event.code, event.addr = 7, native.SEGV, 1, 0x1000
    kept = tracee.stop_of(event)
    event.tid, event.kind, event.code, event.addr = 8, native.TRAP, 0, 0
    assert kept == Stop(7, native.SEGV, 1, 0x1000, 0, 0, 0, (0,) * 6)


def test_only_a_call_has_arguments() -> None:
    event: Any = native.new_event()
    event.args = [1, 2, 3, 4, 5, (1 << 64) - 1]
    event.nr = SYS_GETPID
    event.kind = native.SEGV
    assert tracee.stop_of(event).args == (0,) * 6
    event.kind = tracee.SECCOMP
    assert tracee.stop_of(event).args == (1, 2, 3, 4, 5, (1 << 64) - 1)


# Ranges


def in_c(ranges: Ranges) -> list[tuple[int, int]]:
    struct = ranges.struct
    return [(struct.start[i], struct.end[i]) for i in range(struct.count)]


def test_ranges_replace_those_before() -> None:
    ranges = Ranges()
    assert in_c(ranges) == []
    ranges.set([(0x1000, 0x2000), (0x5000, 0x9000)])
    assert in_c(ranges) == [(0x1000, 0x2000), (0x5000, 0x9000)]
    ranges.set([(0x7000, 0x8000)])
    assert in_c(ranges) == [(0x7000, 0x8000)]
    ranges.set([])
    assert in_c(ranges) == []


def test_as_many_ranges_as_c_has_room_for_stay_apart() -> None:
    ranges, many = Ranges(), [(i << 13, (i << 13) + 4096) for i in range(1, 33)]
    ranges.set(many)
    assert in_c(ranges) == many


def test_too_many_ranges_become_one_that_contains_them() -> None:
    ranges, many = Ranges(), [(i << 13, (i << 13) + 4096) for i in range(1, 34)]
    ranges.set(many[::-1])
    assert in_c(ranges) == [(1 << 13, (33 << 13) + 4096)]


# Starting


@pytest.mark.needs_ptrace
def test_a_program_gets_its_arguments_and_environment(program: int) -> None:
    assert Path(f"/proc/{program}/cmdline").read_bytes() == b"program\0an argument\0"
    assert Path(f"/proc/{program}/environ").read_bytes() == b"NAME=value\0"
    assert os.readlink(f"/proc/{program}/exe") == PUPPET


@pytest.mark.needs_ptrace
def test_a_program_stays_in_our_session(program: int) -> None:
    assert os.getsid(program) == os.getsid(0)
    assert os.getpgid(program) == os.getpgid(0)


@pytest.mark.needs_ptrace
def test_a_program_stands_still(program: int) -> None:
    assert state(program) == "t"
    event = native.new_event()
    assert tracee.next_report(event, Ranges().struct, 1) == 0
    assert event.kind == native.NONE


@pytest.mark.needs_ptrace
def test_a_program_that_cannot_be_executed_is_an_os_error(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no program\n")
    before = own_resources()
    for path, number in [
        ("/nowhere", errno.ENOENT),
        (str(tmp_path), errno.EACCES),
        (str(text), errno.EACCES),
    ]:
        with pytest.raises(OSError, match=path) as refused:
            tracee.start(path, [path], [])
        assert refused.value.errno == number
    text.chmod(0o755)
    with pytest.raises(OSError, match="format") as refused:
        tracee.start(str(text), ["text"], [])
    assert refused.value.errno == errno.ENOEXEC
    assert own_resources() == before


@pytest.mark.needs_ptrace
def test_a_machine_without_ptrace_is_a_host_error() -> None:
    code = (
        "from uemu.errors import HostError\n"
        "from uemu.host import native, tracee\n"
        "try:\n"
        "    tracee.start(str(native.PUPPET), ['program'], [])\n"
        "except HostError as error:\n"
        "    print(error.what == native.TRACE, error.why)\n"
    )
    run = subprocess.run(
        [sys.executable, no_ptrace.SCRIPT, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout == "True Operation not permitted\n"


# A program


def lay_call(pid: int) -> int:
    """Lay ``syscall; int3`` where a program stands; the address."""
    at = native.instruction_pointer(pid)
    native.poke(pid, at, native.peek(pid, at) & ~0xFFFFFF | SYSCALL_INT3)
    return at


def next_stop(pid: int) -> Stop:
    event = native.new_event()
    assert tracee.wait_for(pid, event) == 0
    return tracee.stop_of(event)


@pytest.mark.needs_ptrace
def test_calls_end_where_the_program_was(program: int) -> None:
    """At an int3 the program makes no call, so it can be let run from it to it."""
    at = lay_call(program)
    event = native.new_event()
    assert tracee.inject(program, at + 2, event) == 0
    assert event.kind == native.TRAP
    assert native.instruction_pointer(program) == at


@pytest.mark.needs_ptrace
def test_what_is_injected_and_does_not_end_is_reported(program: int) -> None:
    event = native.new_event()
    assert tracee.inject(program, 8, event) == -errno.ESRCH
    assert (event.kind, event.addr) == (native.SEGV, 8)


@pytest.mark.needs_ptrace
def test_a_call_can_be_followed_to_its_return(program: int) -> None:
    lay_call(program)
    tracee.resume(program, tracee.TO_RETURN, 0)
    assert next_stop(program).kind == native.SIGNAL
    tracee.resume(program, tracee.TO_RETURN, 0)
    # rax is 0 at the start of a program: it reads from descriptor 0 into nothing.
    assert next_stop(program).kind == tracee.RETURNS


@pytest.mark.needs_ptrace
def test_one_step_is_one_instruction(program: int) -> None:
    at = native.instruction_pointer(program)
    native.poke(program, at, native.peek(program, at) & ~0xFFFF | 0x9090)  # nop; nop
    tracee.resume(program, tracee.ONE_STEP, 0)
    stop = next_stop(program)
    assert (stop.kind, stop.ip) == (native.TRAP, at + 1)


@pytest.mark.needs_ptrace
def test_a_running_program_can_be_stopped(program: int) -> None:
    at = native.instruction_pointer(program)
    native.poke(program, at, native.peek(program, at) & ~0xFFFF | 0xFEEB)  # jmp .
    tracee.resume(program, tracee.CONT, 0)
    event = native.new_event()
    assert tracee.stop(program, event) == 0
    assert next_stop(program).is_plain


@pytest.mark.needs_ptrace
def test_who_is_in_no_call_is_said_to_be_in_none(program: int) -> None:
    found = tracee.syscall_of(program)
    assert found is not None
    assert found[0] == SYS_EXECVE
    assert native.peek(program, found[2]) == 2  # argc is on the top of the stack
    tracee.resume(program, tracee.CONT, 0)
    assert next_stop(program).kind == native.TRAP
    assert tracee.syscall_of(program) == (-1, *found[1:])


@pytest.mark.needs_ptrace
def test_an_open_file_of_the_program_is_had_with_its_offset() -> None:
    with open(PUPPET, "rb") as file:
        os.set_inheritable(file.fileno(), True)
        pid = tracee.start(PUPPET, ["program"], [])
        own = tracee.getfd(pid, file.fileno())
        os.lseek(own, 3, os.SEEK_SET)
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 3
        assert not os.get_inheritable(own)
        assert tracee.getfd(pid, 10_000) == -errno.EBADF
        os.close(own)
        native.end(pid)


@pytest.mark.needs_ptrace
def test_signals_can_be_kept_from_the_program(program: int) -> None:
    assert tracee.block(program, signal.SIGUSR1) == 0
    os.kill(program, signal.SIGUSR1)
    tracee.resume(program, tracee.CONT, 0)
    assert next_stop(program).kind == native.TRAP
    os.kill(program, signal.SIGUSR2)
    tracee.resume(program, tracee.CONT, 0)
    stop = next_stop(program)
    assert (stop.kind, stop.code) == (native.SIGNAL, signal.SIGUSR2)


@pytest.mark.needs_ptrace
@pytest.mark.parametrize(
    "use",
    [
        lambda pid: tracee.resume(pid, tracee.CONT, 0),
        tracee.listen,
        tracee.replay,
        lambda pid: tracee.again_if_ignored(pid, 0),
        lambda pid: tracee.not_again(pid, signal.SIGUSR1),
        lambda pid: tracee.return_(pid, 0),
        lambda pid: tracee.block(pid, signal.SIGUSR1),
        lambda pid: tracee.stop(pid, native.new_event()),
        lambda pid: tracee.inject(pid, 8, native.new_event()),
        lambda pid: tracee.finish_exec(pid, native.new_event()),
        lambda pid: tracee.getfd(pid, 0),
    ],
)
def test_who_is_gone_is_no_error_but_a_value(program: int, use: Callable[[int], int]) -> None:
    native.end(program)
    assert use(program) == -errno.ESRCH
    assert tracee.syscall_of(program) is None
    assert tracee.wait_for(program, native.new_event()) == -errno.ECHILD


@pytest.mark.needs_ptrace
def test_waiting_for_nobody_says_so() -> None:
    def wait(timeout_ms: int) -> int:
        return tracee.next_report(native.new_event(), Ranges().struct, timeout_ms)

    # On a thread of its own: the main one may have children, which other tests left behind.
    with ThreadPoolExecutor(1) as thread:
        for timeout_ms in (-1, 0, 1):
            assert thread.submit(wait, timeout_ms).result() == -errno.ECHILD


@pytest.mark.needs_ptrace
def test_the_end_of_who_is_killed_in_a_call_is_still_reported(program: int) -> None:
    entry = native.instruction_pointer(program)
    native.poke(program, entry, SYSCALL_INT3)
    with pytest.raises(ProcessLookupError):
        native.syscall(program, entry, (SYS_KILL, program, signal.SIGKILL, 0, 0, 0, 0))
    event = native.new_event()
    assert tracee.next_report(event, tracee.ANY, -1) == 0
    assert (event.tid, event.kind, event.code) == (program, native.KILLED, signal.SIGKILL)
