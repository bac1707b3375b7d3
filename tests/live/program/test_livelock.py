"""A call that an old patch would keep in the kernel: for ever, or until I/O is over."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from native.build_native import find_compiler
from tests.live.program.running import uemu_run
from uemu.live.program.schedule import DmaOptions
from uemu.live.program.session import run_program

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

WRITE_FROM_READ_ONLY_MEMORY = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
	int fd = open("data", O_RDWR | O_CREAT | O_DIRECT, 0600);
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(page, 'x', 4096);
	mprotect(page, 4096, PROT_READ);
	printf("%zd\n", pwrite(fd, page, 4096, 0));
	return 0;
}
"""


@pytest.mark.parametrize(
    ("policy", "said", "kinds"),
    [("arcangeli-2009-v2", "-1\n", {"livelock"}), ("linux-2.6.29", "4096\n", set())],
)
def test_a_write_from_read_only_memory(
    policy: str, said: str, kinds: set[str], tmp_path: Path
) -> None:
    source, program = tmp_path / "program.c", tmp_path / "program"
    source.write_text(WRITE_FROM_READ_ONLY_MEMORY)
    subprocess.run([*find_compiler(), str(source), "-o", str(program)], check=True)
    ran = uemu_run(tmp_path, program, policy=policy)
    assert (ran.status, ran.out, ran.kinds) == (0, said, kinds), ran.err


def test_a_policy_that_would_make_calls_wait_is_refused_before_the_program_starts() -> None:
    with pytest.raises(ValueError, match="is not for programs: fork waits for direct I/O"):
        run_program(["false"], "kosaki-2009-pinned-sem", DmaOptions("held", 0, 1000), print, None)
