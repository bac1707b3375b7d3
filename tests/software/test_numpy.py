"""Python's multiprocessing with NumPy: each way to start a process, and shared memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.software.installing import pypi
from tests.software.running import native, traced

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

PROGRAM = """
import multiprocessing as mp
from multiprocessing import shared_memory

import numpy as np

def norm(seed):
    return float(np.linalg.norm(np.random.default_rng(seed).random((120, 120)) @ np.eye(120)))

def fill(name, row):
    memory = shared_memory.SharedMemory(name)
    np.ndarray((8, 4096), dtype=np.int64, buffer=memory.buf)[row] = row
    memory.close()

if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with mp.get_context(method).Pool(3) as pool:
            print(method, round(sum(pool.map(norm, range(12))), 6))
    memory = shared_memory.SharedMemory(create=True, size=8 * 4096 * 8)
    workers = [mp.Process(target=fill, args=(memory.name, row)) for row in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(np.ndarray((8, 4096), dtype=np.int64, buffer=memory.buf).sum())
    memory.close()
    memory.unlink()
"""


def test_pools_and_shared_memory_give_the_same(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(pypi("numpy", tmp_path)), "OPENBLAS_NUM_THREADS": "2"}
    (tmp_path / "program.py").write_text(PROGRAM)
    command = (sys.executable, "program.py")
    expected = native(tmp_path, *command, env=env)
    env["PYTHONPATH"] += os.pathsep + os.environ.get("PYTHONPATH", str(Path.cwd()))
    gave, report = traced(tmp_path, *command, env=env)
    assert gave == expected
    assert gave.status == 0
    assert gave.out.splitlines()[-1] == str(sum(range(8)) * 4096)
    assert report["violations"] == []
