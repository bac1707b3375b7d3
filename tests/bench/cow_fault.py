"""The price of an emulated COW fault, against bare ptrace stops.

A puppet stores one byte to each of N pages that it shares with a child, and
then again when they are its own. The difference is what the faults cost: a
stop, the policy in Python, the copy, and the remap in the stub.

Beside it are measured: a bare stop and go, an int3 that a loop in C waits for
and continues; the same through one call from Python per stop; and the fault
with no kernel at all, that is the stop, the copy and the remap with all
decisions made beforehand: no emulation by this mechanism can be cheaper.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from time import perf_counter_ns

import uemu
from tests.bench.measure import Figure
from uemu.abi import SYS_MMAP, SYS_MPROTECT
from uemu.host import native
from uemu.host.memfd import MemfdFrames
from uemu.live.mmu import RW, SHARED_FIXED
from uemu.live.newborn import FRAMES_FD
from uemu.live.puppet import PuppetThread
from uemu.mm.pte import Pte

PAGES = 1024
ROUNDS = 9
BOUNCES = 20_000
LIMIT = 3.0


def measure(policy: str = "linux-2.6.29") -> list[Figure]:
    """Measure under a policy whose do_wp_page copies."""
    faults, bare, driven, alone = [], [], [], []
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
            alone.append(_without_a_kernel(machine, parent, buf))
            child.exit()
    fault = statistics.median(faults) / 1000
    c_loop, python_loop = statistics.median(bare) / 1000, statistics.median(driven) / 1000
    mechanism = statistics.median(alone) / 1000
    against = "a bare stop and go in C"
    return [
        Figure(against, c_loop, "us"),
        Figure("a bare stop and go, each from Python", python_loop, "us"),
        Figure("stop, copy, remap; no kernel at all", mechanism, "us", against, c_loop),
        Figure(f"a COW fault under {policy}", fault, "us", against, c_loop, LIMIT),
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


def _without_a_kernel(machine: uemu.Machine, process: uemu.Process, buf: int) -> float:
    """Nanoseconds of a fault whose outcome was decided before.

    Each page gets another frame mapped in its place and, at the end, its own
    again: the emulated kernel never notices.
    """
    stage, thread = machine.stage, process._puppet
    frames, ptes = stage.kernel.frames, thread.process.mm.ptes
    assert isinstance(frames, MemfdFrames)
    bases = range(buf, buf + PAGES * uemu.PAGE_SIZE, uemu.PAGE_SIZE)
    slot, event, tid = thread.slot, native.new_event(), thread.tid
    entry = slot.entry("store1")

    def make(*call: int) -> None:
        stage.hands.make_calls(thread, [call], "a bench")  # type: ignore[list-item]

    def faults() -> float:
        own = [pte.pfn for base in bases if isinstance(pte := ptes[base].peek(), Pte)]
        other = [frames.alloc(base) for base in bases]
        offsets = [frames.offset_of(pfn) for pfn in other]
        stores = _stores_alone(thread, entry, bases, event)
        make(SYS_MPROTECT, buf, PAGES * uemu.PAGE_SIZE, uemu.PROT_READ, 0, 0, 0)
        start = perf_counter_ns()
        for base, src, dst, offset in zip(bases, own, other, offsets, strict=True):
            slot.struct.addr = base
            native.go(tid, entry, 0, event)
            frames.copy(dst, src)
            native.go_call(tid, slot.resume, slot.struct, event.ip, SYS_MMAP, event.addr,
                           uemu.PAGE_SIZE, RW, SHARED_FIXED, FRAMES_FD, offset, event)  # fmt: skip
        elapsed = perf_counter_ns() - start
        for base, pfn in zip(bases, own, strict=True):
            at = frames.offset_of(pfn)
            make(SYS_MMAP, base, uemu.PAGE_SIZE, RW, SHARED_FIXED, FRAMES_FD, at)
        for pfn in other:
            frames.free(pfn)
        return (elapsed - stores) / PAGES

    return machine.tracer.call(faults)


def _stores_alone(
    thread: PuppetThread, entry: int, bases: Iterable[int], event: native.Event
) -> int:
    start = perf_counter_ns()
    for base in bases:
        thread.slot.struct.addr = base
        native.go(thread.tid, entry, 0, event)
    return perf_counter_ns() - start
