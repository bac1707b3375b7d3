"""Scenarios on which policies with locks differ: whose I/O, and until when."""

from __future__ import annotations

from tests.common import made_up
from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import (
    Complete,
    DeviceStores,
    DirectRead,
    DirectWrite,
    Fork,
    Mmap,
    Register,
    Release,
    Store,
)
from uemu.scenario.lost_read import child, cpu, fork, io
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import LAST_SECTOR, SECTOR, Scenario, Script, Stage


def _aio_read(stage: Stage) -> Script:
    read = yield DirectRead(stage.buf + LAST_SECTOR, SECTOR, aio=True)
    yield Complete(read, b"D" * SECTOR)


def _fill_a_pipe(stage: Stage) -> Script:
    pipe = yield DirectWrite(stage.buf, SECTOR, api="vmsplice")
    yield Complete(pipe)


def _register(stage: Stage) -> Script:
    memory = yield Register(stage.buf + LAST_SECTOR, SECTOR, writable=True, api="rdma")
    yield DeviceStores(memory, 0, b"D")
    yield Release(memory)


def _fork_and_store(stage: Stage) -> Script:
    yield Fork("child")
    yield Store(stage.buf, b"P")


AIO_READ = made_up("io fork cpu io", io=_aio_read, fork=fork, cpu=cpu)
"""As lost-read-no-child-write, but the call that reads has returned."""

PIPE = made_up("io fork cpu child io", io=_fill_a_pipe, fork=fork, cpu=cpu, child=child)
"""A pipe is filled, fork, parent stores, child stores, the pipe is read."""

REGISTERED = made_up("io fork cpu io io", io=_register, fork=fork, cpu=cpu)
"""Memory is registered, fork, parent stores, the device writes."""

READ_VS_FORK = SCENARIOS["gup-fast-vs-fork"]
"""Small enough to be run in every order."""

AIO_READ_VS_FORK = Scenario(
    "aio-read-vs-fork",
    "the same, and the call that reads has returned",
    READ_VS_FORK.setup,
    {"io": _aio_read, "fork": _fork_and_store},
    {},
    "io fork fork io",
)


def _map(stage: Stage) -> Script:
    stage.buf = yield Mmap(PAGE_SIZE)


UNTOUCHED_READ_VS_FORK = Scenario(
    "untouched-read-vs-fork",
    "a read into memory nobody has touched: gup-fast finds nothing, gup takes mmap_sem",
    _map,
    {"io": io, "fork": _fork_and_store},
    {},
    "io fork fork io",
)
