"""What calls about processes, memory, signals and time write."""

from __future__ import annotations

from collections.abc import Iterator

from uemu.live.program.outputs_rules import (
    PAGE,
    Args,
    Peek,
    Range,
    if_flag,
    iovecs,
    longs,
    number_at,
    row,
    sint,
    size_t,
    to,
    uint,
)

CLONE_PIDFD = 0x1000
CLONE_PARENT_SETTID = 0x100000
CLONE_CHILD_SETTID = 0x1000000


def clone3(args: Args, peek: Peek) -> Iterator[Range]:
    """The ids, to where struct clone_args says."""
    flags, pidfd, child_tid, parent_tid = (
        number_at(peek, args[0] + at, 8) if args[0] else 0 for at in (0, 8, 16, 24)
    )
    if flags & CLONE_PIDFD:
        yield pidfd, 4
    if flags & CLONE_CHILD_SETTID:
        yield child_tid, 4
    if flags & CLONE_PARENT_SETTID:
        yield parent_tid, 4


def nodes(args: Args, peek: Peek) -> int:
    """A node mask: the count is one more than its bits. Linux: copy_nodes_to_user."""
    return min(longs(max(0, args[2] - 1)), PAGE)


def pages(args: Args, peek: Peek) -> int:
    """A byte for each page of a length."""
    return (args[1] + PAGE - 1) // PAGE


PROCESS = (
    # Processes. The child writes its own copy of child_tid, in what may be another mm.
    row(
        56,
        "clone",
        if_flag(CLONE_PIDFD | CLONE_PARENT_SETTID, to(2, "int")),
        if_flag(CLONE_CHILD_SETTID, to(3, "int")),
    ),
    row(435, "clone3", clone3),
    row(61, "wait4", to(1, "int"), to(3, "struct rusage")),
    row(247, "waitid", to(2, "siginfo_t"), to(4, "struct rusage")),
    row(98, "getrusage", to(1, "struct rusage")),
    row(97, "getrlimit", to(1, "struct rlimit")),
    row(302, "prlimit64", to(3, "struct rlimit")),
    row(115, "getgroups", to(1, sint(0, "int"))),
    row(118, "getresuid", to(0, "int"), to(1, "int"), to(2, "int")),
    row(120, "getresgid", to(0, "int"), to(1, "int"), to(2, "int")),
    row(
        125,
        "capget",
        to(0, "struct __user_cap_header_struct"),
        to(1, "struct __user_cap_data_struct[2]"),
    ),
    row(274, "get_robust_list", to(1, "long"), to(2, "long")),
    # Scheduling
    row(143, "sched_getparam", to(1, "int")),
    row(148, "sched_rr_get_interval", to(1, "struct timespec")),
    row(204, "sched_getaffinity", to(2, uint(1))),
    row(309, "getcpu", to(0, "int"), to(1, "int")),
    row(315, "sched_getattr", to(1, uint(2, most=PAGE))),
    # Memory
    row(27, "mincore", to(2, pages)),
    row(239, "get_mempolicy", to(0, "int"), to(1, nodes)),
    row(279, "move_pages", to(4, size_t(1, "int"))),
    row(310, "process_vm_readv", iovecs(1, 2)),
    # The system
    row(63, "uname", to(0, "struct new_utsname")),
    row(99, "sysinfo", to(0, "struct sysinfo")),
    row(103, "syslog", to(1, sint(2))),
    # Signals
    row(13, "rt_sigaction", to(2, "struct sigaction")),
    row(14, "rt_sigprocmask", to(2, "sigset_t")),
    row(127, "rt_sigpending", to(0, size_t(1, most=8))),
    row(128, "rt_sigtimedwait", to(1, "siginfo_t")),
    row(131, "sigaltstack", to(1, "stack_t")),
    # Time
    row(35, "nanosleep", to(1, "struct timespec")),
    row(230, "clock_nanosleep", to(3, "struct timespec")),
    row(96, "gettimeofday", to(0, "struct timeval"), to(1, "struct timezone")),
    row(100, "times", to(0, "struct tms")),
    row(201, "time", to(0, "long")),
    row(228, "clock_gettime", to(1, "struct timespec")),
    row(229, "clock_getres", to(1, "struct timespec")),
    row(159, "adjtimex", to(0, "struct timex")),
    row(305, "clock_adjtime", to(1, "struct timex")),
    row(36, "getitimer", to(1, "struct itimerval")),
    row(38, "setitimer", to(2, "struct itimerval")),
    row(222, "timer_create", to(2, "int")),
    row(223, "timer_settime", to(3, "struct itimerspec")),
    row(224, "timer_gettime", to(1, "struct itimerspec")),
    row(286, "timerfd_settime", to(3, "struct itimerspec")),
    row(287, "timerfd_gettime", to(1, "struct itimerspec")),
)
