"""The price of an emulated COW fault, against bare ptrace stops.

A puppet stores one byte to each of N pages that it shares with a child, and
then again when they are its own. The difference is what the faults cost: a
stop, the policy in Python, the copy, and the remap in the stub.

Two bare stops are measured beside it: an int3 that a loop in C waits for and
continues, and the same through one call from Python per stop.
"""

from __future__ import annotations

import statistics
from time import perf_counter_ns

import uemu
from tests.bench.measure import Figure
from uemu.host import native

PAGES = 1024
ROUNDS = 9
BOUNCES = 20_000
LIMIT = 3.0


def measure(policy: str = "linux-2.6.29") -> list[Figure]:
    """Measure under a policy whose do_wp_page copies."""
    faults, bare, driven = [], [], []
    with uemu.Machine(policy=policy) as machine:
        parent = machine.spawn()
        buf = parent.mmap(PAGES * uemu.PAGE_SIZE)
        parent.store(buf, b"\x2a" * PAGES * uemu.PAGE_SIZE)
        for _ in range(ROUNDS):
            child = parent.fork()
            shared = _store_each(machine, parent, buf)
            own = _store_each(machine, parent, buf)
            faults.append((shared - own) / PAGES)
            bare.append(machine.tracer.call(lambda: native.bounce(BOUNCES)))
            driven.append(_bare_from_python(machine, parent, buf))
            child.exit()
    fault = statistics.median(faults) / 1000
    c_loop, python_loop = statistics.median(bare) / 1000, statistics.median(driven) / 1000
    return [
        Figure("a bare stop and go, waited for in C", c_loop, "us"),
        Figure("a bare stop and go, one call from Python each", python_loop, "us"),
        Figure(
            f"a COW fault under {policy}", fault, "us", "a bare stop and go in C", c_loop, LIMIT
        ),
        Figure(f"a COW fault under {policy}", fault, "us", "one from Python", python_loop),
    ]


def _store_each(machine: uemu.Machine, process: uemu.Process, buf: int) -> int:
    """Nanoseconds to store one byte to each page."""
    stage, thread = machine.stage, process._puppet

    def stores() -> int:
        start = perf_counter_ns()
        for i in range(PAGES):
            for _ in stage.accesses.store(thread, buf + i * uemu.PAGE_SIZE, b"x"):
                raise AssertionError("nothing waits here")
        return perf_counter_ns() - start

    return machine.tracer.call(stores)


def _bare_from_python(machine: uemu.Machine, process: uemu.Process, buf: int) -> float:
    thread = process._puppet
    entry, event = thread.slot.entry("load8"), native.new_event()
    thread.slot.struct.addr = buf

    def stops() -> float:
        start = perf_counter_ns()
        for _ in range(PAGES):
            native.go(thread.tid, entry, 0, event)
        return (perf_counter_ns() - start) / PAGES

    return machine.tracer.call(stops)
