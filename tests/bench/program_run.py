"""What `uemu run` costs a program: what does not concern it, and direct I/O.

The three loops time themselves, natively and under uemu, in turn; beside them
stands what a seccomp filter costs that allows everything, below which nothing
can come that looks at system calls. The demo program is timed from Enter to the
report. dma_thread, a program of 2009 with
its 100 files of 12 MiB, is measured where its source lies beside the
repository (`tests/live/program/conftest.py`), and if 1.3 GB are free.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

from native.build_native import find_compiler
from tests.bench.measure import Figure
from tests.live.program.conftest import OURS, PROGRAMS, THEIRS, source_2009
from tests.live.program.running import MAIN, PYTHON

ROUNDS = 7
LIMITS = {"cpu": 1.05, "getppid": 1.25, "pread": 1.25}
WHAT = {
    "cpu": "a CPU-bound loop",
    "getppid": "a million getppid",
    "pread": "100,000 buffered preads of 4 KiB",
}
FREE_BYTES = 1_300_000_000

LOOPS = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void install_filter(void)
{
	struct sock_filter allow = { BPF_RET, 0, 0, SECCOMP_RET_ALLOW };
	struct sock_fprog program = { 1, &allow };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char *page = aligned_alloc(4096, 4096);
	volatile unsigned long sum = 0;
	int fd = open("data", O_RDWR | O_CREAT, 0600);
	double start;

	memset(page, 1, 4096);
	if (pwrite(fd, page, 4096, 0) != 4096)
		return 1;
	if (argc > 2)
		install_filter();
	start = now();
	if (!strcmp(what, "getppid"))
		for (int i = 0; i < 1000000; i++)
			sum += syscall(SYS_getppid);
	else if (!strcmp(what, "pread"))
		for (int i = 0; i < 100000; i++)
			sum += pread(fd, page, 4096, 0);
	else
		for (long i = 0; i < 300000000; i++)
			sum += i;
	printf("%.6f\n", now() - start);
	return 0;
}
"""


def measure() -> list[Figure]:
    """Measure all of it in one folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="uemu-bench-") as name:
        folder = Path(name)
        return [*_loops(folder), *_demo(folder), *_dma_thread(folder)]


def _compile(source: Path, output: Path, flags: tuple[str, ...]) -> Path:
    subprocess.run([*find_compiler(), *flags, str(source), "-o", str(output)], check=True)
    return output


def _run(folder: Path, *command: str | Path) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return done.stdout.decode()


def _under_uemu(*options: str) -> tuple[str, ...]:
    return PYTHON, "-c", MAIN, "run", "-q", *options, "--"


def _loops(folder: Path) -> list[Figure]:
    source = folder / "loops.c"
    source.write_text(LOOPS)
    loops = _compile(source, folder / "loops", ("-O2",))
    figures = []
    for name, limit in LIMITS.items():
        commands: dict[str, tuple[str | Path, ...]] = {
            "natively": (loops, name),
            WHAT[name]: (*_under_uemu(), loops, name),
            "  with a filter that allows all": (loops, name, "filter"),
        }
        times: dict[str, list[float]] = {what: [] for what in commands}
        for _ in range(ROUNDS):
            for what, command in commands.items():
                times[what].append(float(_run(folder, *command)) * 1000)
        base, *others = (statistics.median(each) for each in times.values())
        figures += [
            Figure(what, value, "ms", "natively", base, bound)
            for what, value, bound in zip([*commands][1:], others, (limit, None), strict=True)
        ]
    return figures


def _demo(folder: Path) -> list[Figure]:
    program = _compile(PROGRAMS / "lost_read.c", folder / "lost_read", OURS)
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        _run(folder, *_under_uemu("--policy", "linux-2.6.29"), program)
        times.append(perf_counter() - start)
    return [Figure("from Enter to the report of a lost read", statistics.median(times), "s",
                   limit=1.0)]  # fmt: skip


def _dma_thread(folder: Path) -> list[Figure]:
    text = source_2009("dma_thread")
    if text is None or shutil.disk_usage(folder).free < FREE_BYTES:
        return []
    source = folder / "dma_thread.c"
    source.write_text(text)
    program = _compile(source, folder / "dma_thread", THEIRS)
    _run(folder, program)
    start = perf_counter()
    _run(folder, program, "-a", "512", "-w", "40")
    native = perf_counter() - start
    start = perf_counter()
    options = _under_uemu("--policy", "linux-6.5", "--dma", "immediate")
    _run(folder, *options, program, "-a", "512", "-w", "40")
    traced = perf_counter() - start
    return [Figure("dma_thread -a 512 -w 40", traced, "s", "natively", native, 10.0)]
