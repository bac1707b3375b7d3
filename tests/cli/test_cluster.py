"""A real Dask scheduler with two workers on this machine, and one of them dies."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Uemu
from tests.cli.mortal_world import Deadly
from uemu.cli import matrix
from uemu.cli import workers as workers_module
from uemu.cli.workers import Cluster, on_cluster
from uemu.errors import HostError
from uemu.explore import explore

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60

needs_distributed = pytest.mark.skipif(
    find_spec("distributed") is None,
    reason="the package distributed is not installed: pip install 'uemu[cluster]'",
)


class Dask:
    """A scheduler and its workers, as people start them."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self.log = (folder / "log").open("w")
        self.processes: list[subprocess.Popen[bytes]] = []
        self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")

    def _start(self, module: str, *arguments: str, path: Path = ROOT) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        process = subprocess.Popen(
            [*command, "--no-dashboard", "--scheduler-file", str(self.file)],
            stdout=self.log,
            stderr=self.log,
            cwd=self.file.parent,
            env={**os.environ, "PYTHONPATH": str(path)},
        )
        self.processes.append(process)

    def add_worker(self, path: Path = ROOT) -> None:
        """Start one with one thread, that imports from there first."""
        self._start("dask_worker", "--nthreads", "1", "--no-nanny", path=path)

    @property
    def address(self) -> str:
        """Where the scheduler listens, once it does."""
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                return str(json.loads(self.file.read_text())["address"])
            except (OSError, ValueError):
                assert time.monotonic() < end, "the scheduler does not start"
                time.sleep(0.01)

    def wait_for_workers(self, number: int) -> None:
        """Wait until so many are known to the scheduler."""
        distributed: Any = importlib.import_module("distributed")
        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(number, timeout=DEADLINE_S)

    def stop(self) -> None:
        """End all of it."""
        for process in self.processes:
            process.kill()
            process.wait(DEADLINE_S)
        self.log.close()


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Dask]:
    """A scheduler without workers."""
    made = Dask(tmp_path)
    yield made
    made.stop()


@needs_distributed
@pytest.mark.slow
def test_a_cluster_without_workers_is_refused_and_one_that_loses_one_loses_nothing(
    dask: Dask, tmp_path: Path
) -> None:
    with pytest.raises(
        HostError, match=f"it has no workers. Start some: dask worker {dask.address}"
    ):
        on_cluster(dask.address)
    dask.add_worker()
    dask.add_worker()
    dask.wait_for_workers(2)
    workers = on_cluster(dask.address)
    assert workers.number == 2
    (tmp_path / "pids").mkdir()
    deadly = Deadly(tmp_path / "pids", os.getpid())
    found = explore(deadly, workers=replace(workers, head_start_s=0, slice_s=0.05))
    # (4!)^2: see tests/explore/test_dpor.py.
    assert (found.schedules, found.exhaustive) == (576, True)
    assert set(found.verdicts) == {"lost-update"}
    assert deadly.was_deadly()
    assert set(deadly.pids()) == {process.pid for process in dask.processes[1:]}
    dask.wait_for_workers(1)
    with Cluster(dask.address) as cluster:
        assert cluster.number == 1


@needs_distributed
@pytest.mark.slow
def test_the_command_searches_on_a_cluster(dask: Dask, uemu: Uemu) -> None:
    dask.add_worker()
    dask.wait_for_workers(1)
    done = uemu("explore", "lost-read-no-child-write", "--cluster", dask.address)
    assert (done.status, done.err) == (1, "")
    assert ": exhaustive, under sequential consistency" in done.out.splitlines()[1]


@needs_distributed
@pytest.mark.slow
def test_a_matrix_is_run_on_a_cluster(
    dask: Dask, uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "HEAD_START_S", 0)
    dask.add_worker()
    dask.wait_for_workers(1)
    done = uemu("matrix", "--scenario", "lost-read", "--cluster", dask.address)
    assert (done.status, done.err) == (0, "")
    assert done.out.rstrip().endswith("not applicable; none differ from what is expected")


@needs_distributed
@pytest.mark.slow
def test_workers_with_another_version_are_refused(
    dask: Dask, monkeypatch: pytest.MonkeyPatch
) -> None:
    dask.add_worker()
    dask.wait_for_workers(1)
    assert on_cluster(dask.address).number == 1
    # The control: it is compared with what is here.
    monkeypatch.setattr(workers_module, "FORMAT", 99)
    with pytest.raises(HostError, match=r"its workers have uemu .*, and here is .*schedules 99"):
        on_cluster(dask.address)


@needs_distributed
@pytest.mark.slow
def test_workers_without_uemu_are_refused(dask: Dask, tmp_path: Path) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "uemu.py").write_text("raise ImportError('not here')")
    dask.add_worker(tmp_path / "without")
    dask.wait_for_workers(1)
    with pytest.raises(HostError, match="its workers cannot import uemu"):
        on_cluster(dask.address)


@needs_distributed
def test_an_address_that_is_none_is_refused(uemu: Uemu) -> None:
    done = uemu("explore", "lost-read", "--cluster", "no such thing")
    assert (done.status, done.out) == (3, "")
    assert "uemu: error: exploring on the cluster no such thing: " in done.err
    assert "remedy: Is `dask scheduler` running there?" in done.err


def test_without_the_package_it_says_what_to_install(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed.scheduler", None)
    done = uemu("explore", "lost-read", "--cluster", "tcp://127.0.0.1:8786")
    assert (done.status, done.out) == (3, "")
    assert "the package distributed is not installed" in " ".join(done.err.split())
    assert "remedy: Install it with: pip install 'uemu[cluster]'." in done.err
