"""The typed face of the native helper, on one real puppet that does nothing."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.processes import own_resources
from uemu.abi import PAGE_SIZE
from uemu.errors import HostError
from uemu.host import native
from uemu.host.memfd import MemfdFrames

SYS_GETPID = 39
INT3 = 0xCC
SYSCALL_INT3 = 0xCC050F


@pytest.fixture
def puppet() -> Iterator[int]:
    """A puppet's pid, stopped before its first instruction; this thread traces it."""
    devnull = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    pid = native.spawn(str(native.PUPPET), ["uemu-puppet"], [], [devnull] * 3, autoreap=True)
    os.close(devnull)
    yield pid
    native.end(pid)


def gadget(pid: int) -> int:
    """Lay ``syscall; int3`` where a puppet stands; the address."""
    at = native.instruction_pointer(pid)
    native.poke(pid, at, native.peek(pid, at) & ~0xFFFFFF | SYSCALL_INT3)
    return at


@pytest.mark.needs_ptrace
def test_a_puppet_is_a_process_of_its_own(puppet: int) -> None:
    with open(f"/proc/{puppet}/status") as status:
        lines = status.read().splitlines()
    assert f"PPid:\t{os.getpid()}" in lines
    assert any(line.startswith("State:\tt") for line in lines)
    with open(f"/proc/{puppet}/cmdline") as cmdline:
        assert cmdline.read() == "uemu-puppet\0"


@pytest.mark.needs_ptrace
def test_a_puppet_has_three_descriptors_and_no_more(puppet: int) -> None:
    links = {fd: os.readlink(f"/proc/{puppet}/fd/{fd}") for fd in os.listdir(f"/proc/{puppet}/fd")}
    assert links == {"0": "/dev/null", "1": "/dev/null", "2": "/dev/null"}


@pytest.mark.needs_ptrace
def test_a_puppet_stands_at_its_first_instruction(puppet: int) -> None:
    at = native.instruction_pointer(puppet)
    assert native.peek(puppet, at) & 0xFF == INT3


@pytest.mark.needs_ptrace
def test_a_system_call_is_made_by_the_puppet(puppet: int) -> None:
    at = gadget(puppet)
    assert native.syscall(puppet, at, (SYS_GETPID, 0, 0, 0, 0, 0, 0)) == puppet
    assert native.instruction_pointer(puppet) == at


@pytest.mark.needs_ptrace
def test_a_refused_system_call_returns_its_errno_negative(puppet: int) -> None:
    call = (11, 1, PAGE_SIZE, 0, 0, 0, 0)  # munmap of an address that is not aligned
    assert native.syscall(puppet, gadget(puppet), call) == -errno.EINVAL


@pytest.mark.needs_ptrace
def test_an_int3_is_a_trap_and_a_signal_from_outside_is_a_signal(puppet: int) -> None:
    event, at = native.new_event(), native.instruction_pointer(puppet)
    assert native.go(puppet, at, 0, event) == 0
    assert (event.tid, event.kind, event.ip) == (puppet, native.TRAP, at + 1)
    for number in (signal.SIGTRAP, signal.SIGSEGV, signal.SIGUSR1):
        os.kill(puppet, number)
        assert native.go(puppet, at, 0, event) == 0
        assert (event.tid, event.kind, event.code) == (puppet, native.SIGNAL, number)


@pytest.mark.needs_ptrace
def test_a_dead_puppet_is_no_process_to_work_with(puppet: int) -> None:
    at = native.instruction_pointer(puppet)
    native.end(puppet)
    event = native.new_event()
    assert native.go(puppet, at, 0, event) == -errno.ESRCH
    assert native.kill(puppet) == -errno.ESRCH
    for use in (
        lambda: native.peek(puppet, at),
        lambda: native.poke(puppet, at, 0),
        lambda: native.instruction_pointer(puppet),
        lambda: native.syscall(puppet, at, (SYS_GETPID, 0, 0, 0, 0, 0, 0)),
    ):
        with pytest.raises(ProcessLookupError):
            use()
    native.end(puppet)


@pytest.mark.parametrize("pid", [0, -1])
def test_a_group_of_processes_is_nobody_to_kill(pid: int) -> None:
    assert native.kill(pid) == -errno.ESRCH
    native.end(pid)


@pytest.mark.needs_ptrace
def test_waiting_for_nothing_says_so() -> None:
    # On a thread of its own: the main one may have children, which other tests left behind.
    with ThreadPoolExecutor(1) as thread:
        waited = thread.submit(lambda: native.wait(native.new_event(), 1))
    assert waited.result() == -errno.ECHILD


@pytest.mark.needs_ptrace
def test_a_program_that_is_not_there_is_a_host_error_and_leaves_nothing() -> None:
    before = own_resources()
    with pytest.raises(HostError, match="start /nowhere: No such file") as refused:
        native.spawn("/nowhere", ["x"], [], [], autoreap=True)
    assert "Reinstall" in refused.value.remedy
    assert own_resources() == before


@pytest.mark.parametrize(
    ("number", "what", "remedy"),
    [
        (errno.EPERM, native.TRACE, "uemu doctor"),
        (errno.EAGAIN, "start a process", "ulimit -u"),
        (errno.EMFILE, "start a process", "ulimit -n"),
        (errno.EACCES, "start /puppet", "Reinstall"),
    ],
)
def test_a_start_that_fails_has_its_remedy(number: int, what: str, remedy: str) -> None:
    error = native.spawn_error("/puppet", number)
    assert error.what == what
    assert error.why == os.strerror(number)
    assert remedy in error.remedy


def test_the_stub_fits_into_a_page() -> None:
    entries = native.entries()
    assert 0 < entries.resume < entries.size <= PAGE_SIZE


@pytest.mark.needs_memfd
def test_the_helper_does_not_keep_frames_mapped() -> None:
    frames = MemfdFrames()
    frames.close()
    with open("/proc/self/maps") as maps:
        assert "uemu-frames" not in maps.read()
