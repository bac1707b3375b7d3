"""Which calls stop: the assembled filters in an interpreter of our own, and in the kernel's.

In the kernel, in a child, with "fail with 777" in the place of "stop": so a call
that stops is not made, and the others are such as the kernel refuses otherwise.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import pytest

from tests.live.processes import fork
from uemu import abi
from uemu.host import native
from uemu.live.program import filters
from uemu.live.program.filters import (
    ALLOW,
    AUDIT_ARCH_X86_64,
    CLOSES,
    DIRECT,
    F_SETFL,
    FIRST,
    INTERRUPTED,
    PIPES,
    PROTECTED,
    STAGES,
    TRACE,
    Rules,
    assemble,
)
from uemu.live.program.outputs import WRITERS
from uemu.live.program.window import CONTROL_BASE

LD, JEQ, JSET, JA, AND, RET = 0x20, 0x15, 0x45, 0x05, 0x54, 0x06
NR, ARCH = 0, 4
MAX_INSTRUCTIONS = 4096
"""BPF_MAXINSNS."""

ELSEWHERE = 0x7FFF_1234_5678
"""Where a program's own calls come from."""

X32 = 0x4000_0000
I386 = 0x4000_0003
BAD_FD = (1 << 64) - 1
FOUR_GIB = 1 << 32


# An interpreter


class Ran(NamedTuple):
    """What a filter returned, and which offsets of struct seccomp_data it loaded."""

    action: int
    loaded: frozenset[int]


def run_filter(
    program: bytes, nr: int, args: Sequence[int] = (), *, ip: int = ELSEWHERE,
    arch: int = AUDIT_ARCH_X86_64,
) -> Ran:  # fmt: skip
    """Linux: kernel/seccomp.c:seccomp_run_filters, as far as these filters need it."""
    data = struct.pack("=iIQ6Q", nr, arch, ip, *args, *[0] * (6 - len(args)))
    instructions = list(struct.iter_unpack("=HBBI", program))
    at, a, loaded = 0, 0, set()
    while True:
        code, yes, no, k = instructions[at]
        at += 1
        if code == LD:
            loaded.add(k)
            (a,) = struct.unpack_from("=I", data, k)
        elif code == AND:
            a &= k
        elif code == JEQ:
            at += yes if a == k else no
        elif code == JSET:
            at += yes if a & k else no
        elif code == JA:
            at += k
        else:
            assert code == RET
            return Ran(k, frozenset(loaded))


def stops(rules: Rules, nr: int, args: Sequence[int] = (), *, ip: int = ELSEWHERE) -> bool:
    """Whether a call stops, under filters that only say "stop" or "allow"."""
    action = run_filter(assemble(rules), nr, args, ip=ip).action
    assert action in (TRACE, ALLOW)
    return action == TRACE


ONE_TEST: Rules = {
    1: (filters.Test(0, 0xF0, (0x10, 0x20, 0x30)),),
    2: (filters.Test(5, 0x0F),),
    3: (),
}
TWO_TESTS: Rules = {7: (filters.Test(1, 0xFF, (7,)), filters.Test(2, 0x100))}


@pytest.mark.parametrize(
    ("arg", "expected"), [(0x10, True), (0x2F, True), (0x130, True), (0x40, False), (0, False)]
)
def test_an_argument_has_one_of_several_values_under_a_mask(arg: int, expected: bool) -> None:
    assert stops(ONE_TEST, 1, [arg]) is expected


@pytest.mark.parametrize(("arg", "expected"), [(1, True), (0xF8, True), (0xF0, False), (0, False)])
def test_without_values_anything_but_0_will_do(arg: int, expected: bool) -> None:
    assert stops(ONE_TEST, 2, [0, 0, 0, 0, 0, arg]) is expected


def test_without_tests_any_argument_will_do() -> None:
    assert stops(ONE_TEST, 3)
    assert stops(ONE_TEST, 3, [BAD_FD] * 6)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((0, 7, 0x100), True),
        ((0, 7, 0), False),
        ((0, 6, 0x100), False),
        ((7, 0, 0x100), False),
    ],
)
def test_all_tests_must_hold(args: tuple[int, ...], expected: bool) -> None:
    assert stops(TWO_TESTS, 7, args) is expected


def test_the_high_half_of_an_argument_is_not_looked_at() -> None:
    assert stops(TWO_TESTS, 7, [0, FOUR_GIB | 7, 0x100])
    assert not stops(TWO_TESTS, 7, [0, 7, FOUR_GIB << 8])


def test_a_number_without_a_rule_is_allowed() -> None:
    assert not any(stops(ONE_TEST, nr, [0x10] * 6) for nr in (0, 4, 500))


def test_no_rules_allow_everything() -> None:
    assert not stops({}, 0)


# The stages


class Case(NamedTuple):
    """A call and the first stage at which it stops; None: at none of them.

    Such as stop at a later stage or never are refused by the kernel, made as they are.
    """

    nr: int
    args: tuple[int, ...]
    stage: int | None


ALIGNED, ODD = 0x7F00_0000_0200, 0x7F00_0000_0201
NOWHERE = 8
O_CREAT = 0o100
CLONE_UNTRACED = 0x0080_0000
CLOSE, STAT, UNAME, SETUID, RESTART_SYSCALL = 3, 4, 63, 105, 219


def fcntl(command: int, arg: int) -> Case:
    # Some of its commands write user memory.
    stage = 0 if command == F_SETFL and arg & abi.O_DIRECT else 2
    return Case(abi.SYS_FCNTL, (BAD_FD, command, arg), stage)


def scalar(nr: int) -> list[Case]:
    """read and its kind: from stage 1 those that direct I/O could be; from stage 2 who writes."""
    later = 2 if nr in WRITERS else None
    return [
        Case(nr, (BAD_FD, ALIGNED, 512, 0), 1),
        Case(nr, (BAD_FD, ALIGNED, 0x7FFF_FE00, 0), 1),
        Case(nr, (BAD_FD, ALIGNED, 511, 0), later),
        Case(nr, (BAD_FD, ALIGNED, 513, 0), later),
        Case(nr, (BAD_FD, ALIGNED, 0, 0), later),
        Case(nr, (BAD_FD, ODD, 512, 0), later),
        Case(nr, (BAD_FD, ALIGNED + 256, 512, 0), later),
    ]


CASES = [
    # The first O_DIRECT
    Case(abi.SYS_OPEN, (NOWHERE, abi.O_DIRECT), 0),
    Case(abi.SYS_OPEN, (NOWHERE, abi.O_DIRECT | os.O_RDWR | O_CREAT, 0o600), 0),
    Case(abi.SYS_OPEN, (NOWHERE, os.O_RDWR), None),
    Case(abi.SYS_OPEN, (NOWHERE, 0, abi.O_DIRECT), None),
    Case(abi.SYS_OPENAT, (BAD_FD, NOWHERE, abi.O_DIRECT | os.O_CLOEXEC), 0),
    Case(abi.SYS_OPENAT, (BAD_FD, NOWHERE, os.O_DIRECTORY), None),
    Case(abi.SYS_OPENAT, (BAD_FD, abi.O_DIRECT, 0), None),
    Case(abi.SYS_OPENAT2, (BAD_FD, NOWHERE, NOWHERE, 24), 0),
    fcntl(F_SETFL, abi.O_DIRECT),
    fcntl(F_SETFL, abi.O_DIRECT | os.O_APPEND),
    fcntl(F_SETFL, os.O_APPEND),
    fcntl(3, abi.O_DIRECT),
    fcntl(1030, abi.O_DIRECT),
    # Advice for fork, and what SIGSEGV shall do
    *(Case(abi.SYS_MADVISE, (1, 1, advice), 0) for advice in (10, 11, 18, 19)),
    *(Case(abi.SYS_MADVISE, (1, 1, advice), 1) for advice in (0, 4, 8, 9, 12, 17, 20)),
    *(Case(abi.SYS_PROCESS_MADVISE, (BAD_FD, NOWHERE, 1, advice), 0) for advice in (10, 19)),
    *(Case(abi.SYS_PROCESS_MADVISE, (BAD_FD, NOWHERE, 1, advice), 1) for advice in (3, 4, 9)),
    Case(abi.SYS_RT_SIGACTION, (11, NOWHERE, 0, 8), 2),
    Case(abi.SYS_RT_SIGACTION, (11, 0, NOWHERE, 8), 2),
    Case(abi.SYS_RT_SIGACTION, (10, NOWHERE, 0, 8), 2),
    # What is refused or emulated
    Case(abi.SYS_IO_SETUP, (0, NOWHERE), 0),
    Case(abi.SYS_IO_URING_SETUP, (0, NOWHERE), 0),
    Case(abi.SYS_VMSPLICE, (BAD_FD, NOWHERE, 1), 0),
    Case(abi.SYS_PROCESS_VM_READV, (BAD_FD, NOWHERE, 1), 0),
    Case(abi.SYS_PROCESS_VM_WRITEV, (BAD_FD, NOWHERE, 1), 0),
    Case(abi.SYS_PTRACE, (9999, BAD_FD), 0),
    # Direct I/O
    *scalar(abi.SYS_READ),
    *scalar(abi.SYS_WRITE),
    *scalar(abi.SYS_PREAD64),
    *scalar(abi.SYS_PWRITE64),
    *(
        Case(nr, (BAD_FD, NOWHERE, count), 1)
        for nr in (
            *(abi.SYS_READV, abi.SYS_WRITEV, abi.SYS_PREADV, abi.SYS_PWRITEV),
            *(abi.SYS_PREADV2, abi.SYS_PWRITEV2),
        )
        for count in (0, 1)
    ),
    *(
        Case(nr, (BAD_FD, 0, 0, 0, 0), 1)
        for nr in (
            *(abi.SYS_IO_SUBMIT, abi.SYS_IO_GETEVENTS, abi.SYS_IO_PGETEVENTS),
            *(abi.SYS_IO_CANCEL, abi.SYS_IO_DESTROY),
            *(abi.SYS_IO_URING_ENTER, abi.SYS_IO_URING_REGISTER),
        )
    ),
    # Mappings
    Case(abi.SYS_MUNMAP, (1, 1), 1),
    Case(abi.SYS_MREMAP, (1, 1), 1),
    Case(abi.SYS_MPROTECT, (1, 1), 1),
    Case(abi.SYS_PKEY_MPROTECT, (1, 1), 1),
    Case(abi.SYS_BRK, (0,), 1),
    Case(abi.SYS_MMAP, (0x10000, 0, 0, 0x32), 1),
    Case(abi.SYS_MMAP, (0x10000, 0, 0, 0x22), None),
    Case(abi.SYS_MMAP, (0x10000, 0, 0, 0x100022), None),
    Case(abi.SYS_REMAP_FILE_PAGES, (1, 1), 1),
    Case(abi.SYS_SHMAT, (BAD_FD, 0, abi.SHM_REMAP), 1),
    Case(abi.SYS_SHMAT, (BAD_FD, abi.SHM_REMAP, 0), None),
    # What fails when it is interrupted
    *(Case(nr, (BAD_FD, NOWHERE, 0, 0, 0), 1) for nr in sorted(INTERRUPTED)),
    # Where a task runs
    Case(abi.SYS_SCHED_SETAFFINITY, (BAD_FD, 0, NOWHERE), 1),
    Case(abi.SYS_SCHED_GETAFFINITY, (BAD_FD, 0, NOWHERE), 1),
    # Processes
    Case(abi.SYS_FORK, (), 1),
    Case(abi.SYS_CLONE3, (NOWHERE, 1), 1),
    Case(abi.SYS_CLONE, (17, 0, 0, 0, 0), 1),
    Case(abi.SYS_CLONE, (abi.CLONE_VM | abi.CLONE_THREAD, 0, 0, 0, 0), 2),
    Case(abi.SYS_CLONE, (CLONE_UNTRACED | abi.CLONE_VM | abi.CLONE_THREAD, 0, 0, 0, 0), 0),
    # No rule at all, or only when frames are write-protected
    Case(SETUID, (BAD_FD,), None),
    Case(CLOSE, (BAD_FD,), None),
    Case(1000, (), None),
    Case(STAT, (NOWHERE, NOWHERE), 2),
    Case(UNAME, (NOWHERE,), 2),
    Case(RESTART_SYSCALL, (), 2),
]


def in_words(case: Case) -> str:
    return f"{case.nr}{case.args}".replace(" ", "")


@pytest.mark.parametrize("case", CASES, ids=in_words)
def test_a_call_stops_from_its_stage_on(case: Case) -> None:
    stopped = [stops(rules, case.nr, case.args) for rules in STAGES]
    expected = stopped.index(True) if True in stopped else None
    assert expected == case.stage


def test_every_rule_has_its_case() -> None:
    """Of those of stage 2, which have no arguments, some."""
    assert {case.nr for case in CASES} >= FIRST.keys() | DIRECT.keys()
    with_tests = {nr for rules in STAGES for nr, tests in rules.items() if tests}
    for nr in with_tests:
        stages = {case.stage for case in CASES if case.nr == nr}
        assert len(stages) > 1, f"{nr} has no negative control"


def test_the_last_stage_stops_whoever_writes_user_memory() -> None:
    for nr in (*WRITERS, RESTART_SYSCALL, abi.SYS_EXIT):
        assert all(any(stops(rules, nr, args) for rules in STAGES) for args in ((), [1] * 6))


def test_the_last_stage_repeats_no_rule() -> None:
    assert PROTECTED.keys() <= {*WRITERS, RESTART_SYSCALL, abi.SYS_EXIT}
    for nr in PROTECTED:
        assert (FIRST.get(nr), DIRECT.get(nr)) != ((), None)
        assert DIRECT.get(nr) != ()


def test_who_has_rings_also_stops_where_one_may_be_closed() -> None:
    assert {nr for nr in range(1000) if stops(CLOSES, nr)} == {CLOSE, 33, 292, 436}
    assert not stops(CLOSES, CLOSE, ip=CONTROL_BASE)


def test_once_a_page_is_in_a_pipe_everybody_stops_who_may_take_it_out() -> None:
    assert {nr for nr in range(1000) if stops(PIPES, nr)} == {0, 19, 275, 276}
    assert not stops(PIPES, 0, ip=CONTROL_BASE)


# What is let go


@pytest.mark.parametrize("rules", STAGES)
def test_our_own_calls_are_let_go(rules: Rules) -> None:
    for nr in rules:
        args = next((case.args for case in CASES if case.nr == nr and stops(rules, *case[:2])), ())
        assert stops(rules, nr, args), f"{nr} has no case above"
        for ip in (CONTROL_BASE, CONTROL_BASE + 2, CONTROL_BASE + 4095):
            assert not stops(rules, nr, args, ip=ip)
        for ip in (
            CONTROL_BASE - 1,
            CONTROL_BASE + 4096,
            CONTROL_BASE + FOUR_GIB,
            CONTROL_BASE & 0xFFFF_FFFF,
            0,
        ):
            assert stops(rules, nr, args, ip=ip)


@pytest.mark.parametrize("rules", STAGES)
def test_unknown_numbers_are_allowed_by_their_number_alone(rules: Rules) -> None:
    """So that the kernel can remember them: it tries a filter without arguments.

    Linux: kernel/seccomp.c:seccomp_is_const_allow (v5.11).
    """
    program = assemble(rules)
    unknown = set(range(600)) - rules.keys()
    for nr in (*unknown, *(X32 | nr for nr in rules), -1):
        assert run_filter(program, nr, [BAD_FD] * 6) == Ran(ALLOW, frozenset({ARCH, NR}))


@pytest.mark.parametrize("rules", STAGES)
def test_known_numbers_are_looked_at_further(rules: Rules) -> None:
    program = assemble(rules)
    for nr in rules:
        assert run_filter(program, nr).loaded > {ARCH, NR}


@pytest.mark.parametrize("rules", STAGES)
def test_calls_of_another_architecture_are_allowed_by_that_alone(rules: Rules) -> None:
    program = assemble(rules)
    for nr in rules:
        assert run_filter(program, nr, arch=I386) == Ran(ALLOW, frozenset({ARCH}))


@pytest.mark.parametrize("rules", STAGES)
def test_a_filter_fits_into_what_the_kernel_takes(rules: Rules) -> None:
    program = assemble(rules)
    assert len(program) // 8 <= MAX_INSTRUCTIONS
    # And, behind its struct sock_fprog, into the buffers of a control area.
    assert 16 + len(program) <= native.SLOTS * abi.PAGE_SIZE


# The kernel


REFUSED = 777
RET_ERRNO = 0x0005_0000
PR_SET_NO_NEW_PRIVS, SECCOMP_SET_MODE_FILTER = 38, 1

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

Call = tuple[int, tuple[int, ...]]


def that_refuses(rules: Rules) -> bytes:
    """The filter with "fail" in the place of "stop"."""
    instructions = struct.iter_unpack("=HBBI", assemble(rules))
    return b"".join(
        struct.pack("=HBBI", code, yes, no, RET_ERRNO | REFUSED if (code, k) == (RET, TRACE) else k)
        for code, yes, no, k in instructions
    )


def call(nr: int, args: Sequence[int]) -> int:
    """The error number a call of ours ends with, or 0."""
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(nr), *(ctypes.c_ulong(arg) for arg in args))
    return ctypes.get_errno() if result == -1 else 0


def install(program: bytes) -> None:
    """Give this process a filter."""
    code = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(code))
    address = ctypes.create_string_buffer(fprog, len(fprog))
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.syscall(abi.SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, 0, address) == 0


def in_the_kernel(
    stages: Iterable[Rules], calls: Sequence[Call], how: Callable[[int, Sequence[int]], int] = call
) -> list[bool]:
    """Which of the calls a child with these filters cannot make."""
    programs = [that_refuses(rules) for rules in stages]
    # Shared with the child, so that it needs no call to tell.
    with mmap.mmap(-1, abi.PAGE_SIZE) as errors:
        pid = fork()
        if pid == 0:
            status = 1
            try:
                for program in programs:
                    install(program)
                for i, (nr, args) in enumerate(calls):
                    struct.pack_into("=i", errors, 4 * i, how(nr, args))
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
        found = struct.unpack_from(f"={len(calls)}i", errors)
    return [error == REFUSED for error in found]


def made_at(stage: int) -> list[Case]:
    """Without those that would do something if no filter stopped them: fork before stage 1."""
    forks = [case for case in CASES if case.nr in (abi.SYS_FORK, abi.SYS_CLONE) and case.stage == 1]
    return [case for case in CASES if stage >= 1 or case not in forks]


@pytest.mark.parametrize("stage", range(3))
def test_the_kernel_agrees(stage: int) -> None:
    cases = made_at(stage)
    refused = in_the_kernel(STAGES[: stage + 1], [case[:2] for case in cases])
    assert refused == [case.stage is not None and case.stage <= stage for case in cases]
    assert {True, False} == set(refused)


def test_without_filters_nothing_is_refused() -> None:
    assert True not in in_the_kernel([], [case[:2] for case in made_at(0)])


CODE = bytes.fromhex(
    "4889f8"  # mov rax, rdi
    "4889f7"  # mov rdi, rsi
    "4889d6"  # mov rsi, rdx
    "4889ca"  # mov rdx, rcx
    "4d89c2"  # mov r10, r8
    "0f05"  # syscall
    "c3"  # ret
)
"""A function that makes the call it is told."""


def call_from(addr: int) -> Callable[[int, Sequence[int]], int]:
    """As `call`, from code at an address."""

    def make(nr: int, args: Sequence[int]) -> int:
        libc.mmap.restype = ctypes.c_void_p
        how = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | abi.MAP_FIXED_NOREPLACE
        size, prot = ctypes.c_size_t(4096), abi.PROT_READ | abi.PROT_WRITE | abi.PROT_EXEC
        base = libc.mmap(ctypes.c_void_p(addr), size, prot, how, -1, ctypes.c_long(0))
        assert base in (addr, (1 << 64) - 1)  # there already
        ctypes.memmove(addr, CODE, len(CODE))
        function = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_ulong] * 5)(addr)
        result: int = function(nr, *args, *[0] * (4 - len(args)))
        return -result if result < 0 else 0

    return make


def test_the_kernel_lets_our_own_calls_go() -> None:
    calls: list[Call] = [
        (abi.SYS_PTRACE, (9999, BAD_FD)),
        (abi.SYS_MUNMAP, (1, 1)),
        (UNAME, (NOWHERE,)),
    ]
    inside = in_the_kernel(STAGES, calls, call_from(CONTROL_BASE))
    outside = in_the_kernel(STAGES, calls, call_from(CONTROL_BASE + 4096))
    assert (inside, outside) == ([False] * 3, [True] * 3)
