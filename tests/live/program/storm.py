"""Hostile programs by the hundred: whatever they do, uemu comes to an end and nothing is left.

    python -m tests.live.program.storm 1000 [--first SEED] [--only NAME] [--jobs N]

A seed chooses everything: the program of ``hostile/``, what it does, the
policy, the DMA schedule, whether uemu itself is killed on the way, and whether
signals come from outside to whoever there is. What the threads of a program do meanwhile
is not up to a seed, so that a run that was bad is not bad again for certain:
repeat it.

A run is good if uemu ends in time, says nothing of a mistake of its own (its
own checks at the end of a run are: no frame is left, and no transfer), and
leaves no process and no file.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from native.build_native import find_compiler

ROOT: Final = Path(__file__).resolve().parents[3]
SOURCES: Final = Path(__file__).resolve().parent / "hostile"
NAMES: Final = tuple(sorted({path.stem for path in SOURCES.glob("*.c")} - {"races"}))
"""The hostile ones; `races` is for tests of what was wrong once."""
FLAGS: Final = ("-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-clobbered",
                "-pthread")  # fmt: skip

POLICIES: Final = ("linux-2.6.29", "arcangeli-2009-v2", "linux-5.9", "linux-5.19", "linux-6.5")
SCHEDULES: Final = ("held", "held", "random", "immediate")
FATAL: Final = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
HAIL: Final = (signal.SIGSTOP, signal.SIGCONT, signal.SIGCHLD, signal.SIGWINCH, signal.SIGKILL)
HAIL_S: Final = 1.0

MARK: Final = "UEMU_STORM"
"""The environment variable that all processes of a run have, uemu too."""

TIMEOUT_S: Final = 60
"""The programs end within some seconds by themselves, here as natively."""

SOON_S: Final = 10
"""How long the kernel may take to end who was killed."""

MISTAKES: Final = ("Traceback", "InvariantError", "a mistake in uemu", "Fatal Python error")

DATA: Final = 1 << 16

RUN_UEMU: Final = "import sys; from uemu.cli.main import main; sys.exit(main())"


@dataclass(frozen=True)
class Case:
    """What a seed chooses.

    Attributes:
        program: one of `NAMES`.
        fatal: what uemu is sent, if anything, and after how many seconds.
        hail: whether its programs are sent signals, for the first `HAIL_S`.
        words: the program's arguments.
        status: how it has to end; None: it may as it likes.
    """

    seed: int
    program: str
    policy: str
    dma: str
    fatal: tuple[int, float] | None
    hail: bool = False
    words: tuple[str, ...] = ()
    status: int | None = None

    def command(self, binary: Path) -> list[str]:
        """What is run."""
        how = ["--policy", self.policy, "--dma", self.dma, "--seed", str(self.seed)]
        uemu = [sys.executable, "-X", "faulthandler", "-c", RUN_UEMU, "run", "-q", *how]
        return [*uemu, "--", str(binary), *self.words]


def case_of(seed: int, only: str | None = None) -> Case:
    """The case of a seed."""
    choose = random.Random(seed)
    fatal = None
    if choose.random() < 0.1:
        fatal = (choose.choice(FATAL), 0.1 + choose.random() * 0.5)
    program = only or NAMES[seed % len(NAMES)]
    policy, dma = choose.choice(POLICIES), choose.choice(SCHEDULES)
    hail = choose.random() < 0.3
    return Case(seed, program, policy, dma, fatal, hail, (str(seed),))


def compiler(folder: Path) -> Callable[[str], Path]:
    """Compile hostile programs into a folder, each once."""

    @functools.cache
    def compiled(name: str) -> Path:
        output = folder / name
        command = [*find_compiler(), *FLAGS, str(SOURCES / f"{name}.c"), "-o", str(output)]
        subprocess.run(command, check=True)
        return output

    return compiled


# One run ---------------------------------------------------------------------------------------


def run_case(case: Case, binary: Path, folder: Path) -> list[str]:
    """Run a case in a folder of its own, empty; what was bad about it."""
    mark = f"{os.getpid()}-{case.seed}-{time.monotonic_ns()}"
    temporary, here = folder / "tmp", folder / "here"
    temporary.mkdir()
    here.mkdir()
    (here / "data").write_bytes(bytes(DATA))
    said = folder / "said"
    environment = {**os.environ, MARK: mark, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    with said.open("wb") as out:
        uemu = subprocess.Popen(
            case.command(binary),
            cwd=here,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            bad = [*_end(uemu, case, mark)]
        finally:
            uemu.kill()
            uemu.wait()
            left = _left(mark)
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    text = said.read_text(errors="replace")
    bad += [f"left: {each}" for each in left.values()]
    bad += [f"left: {path}" for path in (*temporary.rglob("*"), *here.iterdir())
            if path != here / "data"]  # fmt: skip
    if any(word in text for word in MISTAKES):
        bad.append("uemu made a mistake")
    return [*bad, text[-6000:]] if bad else []


def _end(uemu: subprocess.Popen[bytes], case: Case, mark: str) -> Iterator[str]:
    """Wait for the end of a run; what was bad about it."""
    try:
        if case.hail:
            _hail(uemu, case, mark)
        if case.fatal is not None:
            number, after = case.fatal
            try:
                uemu.wait(after)
            except subprocess.TimeoutExpired:
                uemu.send_signal(number)
        status = uemu.wait(TIMEOUT_S)
        if case.fatal is None and (status < 0 or case.status not in (None, status)):
            yield f"uemu ended with {status}"
    except subprocess.TimeoutExpired:
        yield f"uemu did not end within {TIMEOUT_S} s"
        yield from _left(mark).values()
        # Its faulthandler says where it is.
        uemu.send_signal(signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            uemu.wait(5)


def _hail(uemu: subprocess.Popen[bytes], case: Case, mark: str) -> None:
    """Send signals to the programs that uemu runs; at last all of them go on.

    Not to what else it starts: a compiler, that a library of Python's asks.
    """
    choose, wanted = random.Random(case.seed), f"{MARK}={mark}".encode()
    until = time.monotonic() + HAIL_S
    while uemu.poll() is None and time.monotonic() < until:
        for pid in set(_with_environment(wanted)) - {uemu.pid}:
            _send(pid, uemu.pid, wanted, choose.choice(HAIL))
        time.sleep(choose.random() * 0.02)
    while uemu.poll() is None and time.monotonic() < until + 2:
        for pid in set(_with_environment(wanted)) - {uemu.pid}:
            _send(pid, uemu.pid, wanted, signal.SIGCONT)
        time.sleep(0.05)


def _send(pid: int, tracer: int, wanted: bytes, number: signal.Signals) -> None:
    """Send a signal to a process if it is traced and has this in its environment."""
    with contextlib.suppress(OSError):
        process = os.pidfd_open(pid)
        try:
            traced = f"TracerPid:\t{tracer}\n" in Path(f"/proc/{pid}/status").read_text()
            if traced and _has_environment(pid, wanted):
                signal.pidfd_send_signal(process, number)
        finally:
            os.close(process)


def _left(mark: str) -> dict[int, str]:
    """The processes of a run that are still there when they had time enough to go."""
    wanted = f"{MARK}={mark}".encode()
    until = time.monotonic() + SOON_S
    while left := {pid: _describe(pid) for pid in _with_environment(wanted)}:
        # A process that stopped is not on its way; one that was killed is.
        if time.monotonic() > until:
            break
        time.sleep(0.01)
    return left


def _with_environment(wanted: bytes) -> Iterator[int]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and _has_environment(int(path.name), wanted):
            yield int(path.name)


def _has_environment(pid: int, wanted: bytes) -> bool:
    with contextlib.suppress(OSError):
        # A leader that ended before its threads shows nothing; one of them does.
        for task in Path(f"/proc/{pid}/task").iterdir():
            if environment := (task / "environ").read_bytes():
                return wanted in environment.split(b"\0")
    return False


def _describe(pid: int) -> str:
    """What a person needs to know of a process that is not gone: where its threads are."""
    lines = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            status = (task / "status").read_text().splitlines()
            words = dict(line.split(":\t", 1) for line in status if ":\t" in line)
            call = (task / "syscall").read_text().split()[0]
            lines.append(
                f"{words['Name']} {pid}/{task.name} of {words['PPid']}: {words['State']},"
                f" tracer {words['TracerPid']}, in call {call} ({(task / 'wchan').read_text()}),"
                f" pending {words['SigPnd']} {words['ShdPnd']}"
            )
    return "\n".join(lines) or f"process {pid}, gone just now"


# Many ------------------------------------------------------------------------------------------


def main() -> int:
    """Run the storm; 1 if a run was bad."""
    parser = argparse.ArgumentParser(prog="python -m tests.live.program.storm")
    parser.add_argument("count", type=int, help="how many runs")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed")
    parser.add_argument("--only", choices=NAMES, help="this program alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time")
    args = parser.parse_args()
    outcome: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="uemu-storm-") as name:
        folder = Path(name)
        compiled = compiler(folder)
        cases = [case_of(seed, args.only) for seed in range(args.first, args.first + args.count)]
        for program in {case.program for case in cases}:
            compiled(program)

        def run(case: Case) -> list[str]:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                return run_case(case, compiled(case.program), Path(own))

        with ThreadPoolExecutor(args.jobs) as pool:
            for case, bad in zip(cases, pool.map(run, cases), strict=True):
                outcome["bad" if bad else "good"] += 1
                if bad:
                    print(f"--- {case}", *bad, sep="\n", flush=True)
    print(f"{outcome['good']} runs good, {outcome['bad']} bad")
    return 1 if outcome["bad"] else 0


if __name__ == "__main__":
    sys.exit(main())
