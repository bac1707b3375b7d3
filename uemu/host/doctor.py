"""Whether this machine can trace and, if not, why and what to do about it.

Nothing is guessed from a version: each probe does, once, what uemu is going
to do. The probes change nothing and leave nothing behind.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import mmap
import os
import platform
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from uemu.abi import MADV_POPULATE_WRITE, PAGE_SIZE
from uemu.errors import HostError

MAPPINGS: Final = 65_530
"""The kernel's own vm.max_map_count: mappings a process may have."""

SYSCALLS: Final = {
    9: "mmap",
    10: "mprotect",
    11: "munmap",
    56: "clone",
    57: "fork",
    101: "ptrace",
    231: "exit_group",
    312: "kcmp",
    319: "memfd_create",
    425: "io_uring_setup",
    426: "io_uring_enter",
    436: "close_range",
    438: "pidfd_getfd",
}
"""System calls uemu makes, or has a traced process make, by their x86-64 numbers."""


@dataclass(frozen=True)
class Finding:
    """One thing uemu needs of a machine.

    Attributes:
        name: what it is, in a word or two.
        ok: whether it is there.
        detail: what was seen.
        remedy: what a person can do if it is missing, else "".
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Probe everything uemu needs, the most basic first."""
    return [
        _cpu(),
        _kernel(),
        _native_helper(),
        _ptrace(),
        _frames(),
        _mappings(),
        _cpus(),
        _python_ptrace(),
        _libdw(),
    ]


# Probes that tests ask --------------------------------------------------------------


def probe_ptrace() -> str | None:
    """Why no process of our own can be traced here, or None."""
    error = ptrace_error()
    return None if error is None else f"{error.what}: {error.why}"


def probe_memfd() -> str | None:
    """Why page frames cannot be kept in a memfd here, or None."""
    try:
        _use_frames()
    except HostError as error:
        return f"{error.what}: {error.why}"
    return None


def probe_kernel(feature: str) -> str | None:
    """Why the running kernel lacks one of `FEATURES`, or None.

    Raises:
        ValueError: no such feature is known.
    """
    if feature not in FEATURES:
        raise ValueError(f"unknown kernel feature {feature!r}; known: {', '.join(FEATURES)}")
    return FEATURES[feature]()


# ptrace -------------------------------------------------------------------------------


def probe_libdw() -> str | None:
    """Why stories have no stacks here, or None."""
    from uemu.host.libdw import Libdw, NoLibdw

    try:
        Libdw()
    except NoLibdw as why:
        return str(why)
    return None


def ptrace_error() -> HostError | None:
    """What tracing a process of our own ran into, or None; tried once per process."""
    found = _tried_ptrace(os.getpid())
    return None if found is None else HostError(*found)


_can_trace: set[int] = set()
"""Processes that were seen to trace; what failed once may work the next time."""


def _tried_ptrace(pid: int) -> tuple[str, str, str] | None:
    """(what, why, remedy) if process ``pid``, the caller, cannot trace; else None."""
    if pid in _can_trace:
        return None
    refused: list[HostError] = []

    def try_it() -> None:
        try:
            _trace_a_puppet()
        except HostError as error:
            refused.append(error)

    # A tracer is a thread: this one takes with it whatever it may have left.
    thread = threading.Thread(target=try_it, name="uemu-doctor")
    thread.start()
    thread.join()
    if not refused:
        _can_trace.add(pid)
        return None
    error = refused[0]
    seen = ", ".join(f"{name} {value}" for name, value in circumstances().items())
    return error.what, f"{error.why} ({seen})" if seen else error.why, error.remedy


def _trace_a_puppet() -> None:
    try:
        from uemu.host import native
    except ImportError as error:
        raise HostError("load the native helper", str(error), REBUILD) from error
    devnull = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        argv = ["uemu-puppet"]
        pid = native.spawn(str(native.PUPPET), argv, [], [devnull] * 3, autoreap=True)
    except HostError as error:
        if error.what == native.TRACE:
            raise HostError(error.what, error.why, ptrace_remedy(circumstances())) from error
        raise
    finally:
        os.close(devnull)
    native.end(pid)


def circumstances() -> dict[str, str]:
    """What is known to forbid ptrace, as far as it is set here: name to value."""
    seen = {}
    scope = _line("/proc/sys/kernel/yama/ptrace_scope")
    if scope not in ("", "0"):
        seen["kernel.yama.ptrace_scope"] = scope
    status = dict(
        line.split(":\t", 1) for line in _text("/proc/self/status").splitlines() if ":\t" in line
    )
    for name, label in (("Seccomp", "seccomp mode"), ("TracerPid", "traced by process")):
        value = status.get(name, "0").strip()
        if value != "0":
            seen[label] = value
    return seen


def ptrace_remedy(seen: dict[str, str]) -> str:
    """What to do where ptrace is forbidden, given the circumstances."""
    remedies = []
    scope = seen.get("kernel.yama.ptrace_scope", "0")
    if scope == "2":
        remedies.append("As root: sysctl kernel.yama.ptrace_scope=1.")
    elif scope == "3":
        remedies.append(
            "kernel.yama.ptrace_scope = 3 lasts until the next boot: take it out of /etc/sysctl.d"
            " and reboot."
        )
    if "traced by process" in seen:
        remedies.append("Run it without the tracer it runs under (strace -f, gdb).")
    if "seccomp mode" in seen:
        remedies.append(
            "A seccomp filter may forbid it. Docker, Podman: run with --cap-add SYS_PTRACE or"
            " --security-opt seccomp=unconfined; systemd: allow SystemCallFilter=@debug."
        )
    return " ".join(remedies) or (
        "A security module (SELinux: setsebool deny_ptrace off; AppArmor: its profile) or a"
        " sandbox forbids it: run outside of it."
    )


# The kernel's features -------------------------------------------------------------------


def _answers(number: int, *args: int) -> str | None:
    """None if the kernel knows a system call: anything but ENOSYS, or EPERM of a filter."""
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_long(arg) for arg in (*args, 0, 0, 0, 0, 0, 0)[:6]]
    if libc.syscall(ctypes.c_long(number), *padded) >= 0:
        return None
    error = ctypes.get_errno()
    return os.strerror(error) if error in (errno.ENOSYS, errno.EPERM) else None


def _memfd_create() -> str | None:
    try:
        os.close(os.memfd_create("uemu-doctor", os.MFD_CLOEXEC))
    except OSError as error:
        return os.strerror(error.errno or 0)
    return None


def _madvise(advice: int) -> str | None:
    with mmap.mmap(-1, PAGE_SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as page:
        try:
            page.madvise(advice)
        except OSError as error:
            return os.strerror(error.errno or 0)
    return None


def _io_uring() -> str | None:
    try:
        uring = importlib.import_module("uemu.host.uring")
    except ImportError as error:
        return str(error)
    why: str | None = uring.why_not()
    return why


FEATURES: Final[dict[str, Callable[[], str | None]]] = {
    "memfd_create": _memfd_create,
    # No such descriptor: EBADF from a kernel that looks for it.
    "pidfd_getfd": lambda: _answers(438, -1, 0, 0),
    "close_range": lambda: _answers(436, 1 << 30, 1 << 30, 0),
    "MADV_POPULATE_WRITE": lambda: _madvise(MADV_POPULATE_WRITE),
    "MADV_WIPEONFORK": lambda: _madvise(18),
    "io_uring": _io_uring,
}
"""Features of the running kernel by name; each says why it is missing, or None."""

NEEDED: Final = ("memfd_create", "pidfd_getfd")
"""What uemu cannot do without; it can without the rest."""


# The findings -----------------------------------------------------------------------------

REBUILD: Final = "Build it again: pip install --force-reinstall --no-deps uemu (needs gcc)."


def _cpu() -> Finding:
    machine = platform.machine()
    remedy = "Run it on an x86-64 machine, or in a virtual machine of that kind."
    return Finding("x86-64", machine == "x86_64", machine, "" if machine == "x86_64" else remedy)


def _kernel() -> Finding:
    why = {name: probe() for name, probe in FEATURES.items()}
    present = [name for name, reason in why.items() if reason is None]
    missing = [f"{name}: {reason}" for name, reason in why.items() if reason is not None]
    detail = f"Linux {platform.release()} has {', '.join(present) or 'none of what uemu uses'}"
    if missing:
        detail += f"; not {', '.join(missing)}"
    ok = all(why[name] is None for name in NEEDED)
    remedy = (
        "Run Linux 5.6 or later, without a filter that forbids these (Docker: --security-opt"
        " seccomp=unconfined)."
    )
    return Finding("kernel", ok, detail, "" if ok else remedy)


def _native_helper() -> Finding:
    try:
        native = importlib.import_module("uemu.host.native")
    except ImportError as error:
        return Finding("native helper", False, str(error), REBUILD)
    if not os.access(native.PUPPET, os.X_OK):
        return Finding("native helper", False, f"{native.PUPPET} cannot be run", REBUILD)
    return Finding("native helper", True, "the extension loads, the puppet is there")


def _ptrace() -> Finding:
    error = ptrace_error()
    if error is not None:
        return Finding("ptrace", False, error.why, error.remedy)
    seen = [f"{name} {value}" for name, value in circumstances().items()]
    note = f", with {', '.join(seen)}" if seen else ""
    return Finding("ptrace", True, f"a process of our own was started and traced{note}")


def _use_frames() -> int:
    """Keep a page frame in a memfd and give it back; the bytes that could be mapped."""
    from uemu.host.memfd import MemfdFrames

    frames = MemfdFrames()
    try:
        pfn = frames.alloc(0)
        frames.write(pfn, 0, b"uemu")
        if frames.read(pfn, 0, 4) != b"uemu":
            raise HostError(
                "keep a page frame in a memfd", "its bytes changed", "Check the memory."
            )
        frames.free(pfn)
        return frames.size
    finally:
        frames.close()


def _frames() -> Finding:
    try:
        size = _use_frames()
    except HostError as error:
        return Finding("page frames", False, f"{error.what}: {error.why}", error.remedy)
    return Finding("page frames", True, f"a memfd of {size >> 30} GiB, sparse, can be mapped")


def _mappings() -> Finding:
    text = _line("/proc/sys/vm/max_map_count")
    ok = not text.isdecimal() or int(text) >= MAPPINGS
    remedy = f"As root: sysctl vm.max_map_count={MAPPINGS}."
    detail = f"{text or 'an unknown number of'} in a process"
    return Finding("mappings", ok, detail, "" if ok else remedy)


def _cpus() -> Finding:
    number = len(os.sched_getaffinity(0))
    detail = f"{number}; a tracer and what it traces share one"
    return Finding("CPUs", True, detail)


def _python_ptrace() -> Finding:
    try:
        version = importlib.import_module("ptrace.version").__version__
        cpu: Any = importlib.import_module("ptrace.cpu_info")
        names = importlib.import_module("ptrace.syscall").SYSCALL_NAMES
    except ImportError as error:
        return Finding("python-ptrace", False, str(error), "pip install 'python-ptrace>=0.9.9'")
    strange = [name for number, name in SYSCALLS.items() if names.get(number) != name]
    if not cpu.CPU_X86_64 or strange:
        detail = f"{version} does not know {', '.join(strange) or 'this CPU as x86-64'}"
        return Finding("python-ptrace", False, detail, "pip install -U python-ptrace")
    return Finding("python-ptrace", True, f"{version}, knows {len(names)} system calls by name")


def _libdw() -> Finding:
    """Nothing stands or falls with it."""
    why = probe_libdw()
    return Finding("libdw", True, why or "stories tell where in a program things happened")


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _line(path: str) -> str:
    return _text(path).strip()
