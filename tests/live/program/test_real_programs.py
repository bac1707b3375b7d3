"""Programs that people use give under uemu what they give without."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.program.running import uemu_run
from uemu.policy.registry import NEWEST

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

PYTHON = """
import multiprocessing, os, subprocess, threading

def square(x):
    return x * x

if __name__ == "__main__":
    said = []
    def say(i):
        said.append(subprocess.run(["echo", str(i)], capture_output=True, text=True).stdout)
    threads = [threading.Thread(target=say, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(said))
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(3) as pool:
            print(method, pool.map(square, range(10)))
    print(os.popen("uname -s").read())
"""

C = """
#include <stdio.h>
int main(void) { for (int i = 0; i < 3; i++) printf("%d\\n", i * i); return 7; }
"""

COMMANDS = {
    "a pipeline": ["bash", "-c", "seq 1 1000 | sort -r | head -5 | tr 0-9 a-j; (exit 3); echo $?"],
    "jobs": ["bash", "-c", "for i in 1 2 3; do (exit $i) & wait $! || echo $?; done; cat < <(id)"],
    "a signal": ["bash", "-c", "trap 'echo term' TERM; kill $$; kill -9 $$"],
    "threads, subprocesses and pools": [sys.executable, "program.py"],
    "a compiler": ["gcc", "-O2", "-Wall", "program.c", "-o", "program.out"],
    "an archive": ["bash", "-c", "tar cf - program.py program.c | tar tvf - | wc -l"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_output_and_status_are_the_same(name: str, tmp_path: Path) -> None:
    command = COMMANDS[name]
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    (tmp_path / "program.py").write_text(PYTHON)
    (tmp_path / "program.c").write_text(C)
    native = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    expected = native.returncode if native.returncode >= 0 else 128 - native.returncode
    ran = uemu_run(tmp_path, *command, policy=NEWEST, options=("-q",))
    assert (ran.status, ran.out) == (expected, native.stdout), ran.err


def test_what_a_compiler_made_runs(tmp_path: Path) -> None:
    (tmp_path / "program.c").write_text(C)
    assert uemu_run(tmp_path, "gcc", "program.c", "-o", "program", policy=NEWEST).status == 0
    ran = uemu_run(tmp_path, "./program", policy=NEWEST)
    assert (ran.status, ran.out) == (7, "0\n1\n4\n")
