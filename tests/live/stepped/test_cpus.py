"""Real instructions do what simulated CPUs do, access by access; and what if they do not."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.live.stepped.conftest import Bench
from uemu.abi import PAGE_SIZE
from uemu.errors import Disagreement, ProcessDied
from uemu.host import native
from uemu.kernel.cpus import CpuPort, SimulatedCpus
from uemu.live.area import AREA_BASE
from uemu.mm.frames import BytesStore
from uemu.mm.mmu import PageFault, SimulatedMmu
from uemu.mm.pte import Pte

pytestmark = pytest.mark.needs_ptrace

LENGTHS = (1, 2, 3, 4, 7, 8, 9, 512, PAGE_SIZE)


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_accesses_changes_and_flushes_does_the_same(bench: Bench, seed: int) -> None:
    """The contract of `CpuPort`, over both that serve it."""
    random = Random(seed)
    frames, mmu = BytesStore(), SimulatedMmu()
    model = SimulatedCpus(frames, mmu)
    for _ in bench.pfns:
        frames.alloc(bench.base)
    for cpu in (bench.one, bench.two):
        mmu.run_on(cpu, bench.mm.id)

    def both(what: str, *args: Any) -> tuple[Any, Any]:
        real: CpuPort = bench.hardware.cpus
        return bench.call(lambda: getattr(real, what)(*args)), getattr(model, what)(*args)

    done = {"store": 0, "load": 0, "look": 0, "fault": 0}
    for _ in range(150):
        cpu, page = random.choice((bench.one, bench.two)), random.randrange(2)
        base = bench.base + page * PAGE_SIZE
        length = random.choice(LENGTHS)
        addr = base + random.randrange(PAGE_SIZE - length + 1)
        action = random.choice(("store", "store", "load", "load", "look", "pte", "pte", "flush"))
        pte = bench.mm.pte(base).peek()
        if action == "pte":
            bench.set(random.choice([*bench.pfns, None]), write=random.random() < 0.6, page=page)
        elif action == "flush":
            args = cpu, random.choice((bench.one, bench.two)), bench.mm.id, base, base + PAGE_SIZE
            bench.call(lambda args=args: bench.hardware.mmu.flush(*args))  # type: ignore[misc]
            mmu.flush(*args)
        elif action == "look" and isinstance(pte, Pte):
            live, simulated = both("look", bench.mm, addr, pte, length)
            assert live == simulated
            done["look"] += 1
        elif action in ("store", "load"):
            what = random.randbytes(length) if action == "store" else length
            live, simulated = both(action, cpu, bench.mm, addr, what)
            assert live == simulated
            done["fault" if isinstance(live, PageFault) else action] += 1
    for pfn in bench.pfns:
        assert bench.hardware.frames.read(pfn, 0, PAGE_SIZE) == frames.read(pfn, 0, PAGE_SIZE)
    assert all(done.values())
    tally = bench.hardware.cpus.tally
    assert (tally.stores, tally.loads, tally.looks) == (done["store"], done["load"], done["look"])
    assert tally.stale > 0


def test_a_page_fault_is_a_real_trap_and_a_hit_is_none(bench: Bench) -> None:
    cpus, mm = bench.hardware.cpus, bench.mm
    assert bench.call(lambda: cpus.load(bench.one, mm, bench.base, 1)) == PageFault(
        bench.base, False
    )
    assert cpus.tally.traps == 1
    bench.set(bench.pfns[0], write=False)
    bench.call(lambda: cpus.load(bench.one, mm, bench.base, 1))
    assert cpus.tally.traps == 2  # a miss
    bench.call(lambda: cpus.load(bench.one, mm, bench.base, 1))
    assert cpus.tally.traps == 2
    assert bench.call(lambda: cpus.store(bench.one, mm, bench.base, b"x")) == PageFault(
        bench.base, True
    )
    assert cpus.tally.traps == 3


def test_an_entry_that_user_mode_may_not_use_traps(bench: Bench) -> None:
    bench.mm.pte(bench.base).value = Pte(bench.pfns[0], False, user=False)
    cpus = bench.hardware.cpus
    assert isinstance(bench.call(lambda: cpus.load(bench.one, bench.mm, bench.base, 1)), PageFault)


@pytest.mark.parametrize("addr", [AREA_BASE, 0x10, 0x7FFF_FFFF_0000, 1 << 60])
def test_what_makes_a_puppet_a_puppet_is_out_of_reach(bench: Bench, addr: int) -> None:
    cpus = bench.hardware.cpus
    assert bench.call(lambda: cpus.load(bench.one, bench.mm, addr, 1)) == PageFault(addr, False)
    assert bench.call(lambda: cpus.store(bench.one, bench.mm, addr, b"x")) == PageFault(addr, True)


def test_a_store_that_is_not_where_it_should_be_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.set(bench.pfns[0])
    cpus = bench.hardware.cpus
    monkeypatch.setattr(cpus._tlbs, "pfn_at", lambda *_: bench.pfns[1])
    with pytest.raises(Disagreement, match=r"stored b'x' at .* which is pfn 1; there is b'\\x00'"):
        bench.call(lambda: cpus.store(bench.one, bench.mm, bench.base, b"x"))


def test_a_trap_with_the_right_frame_mapped_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.set(bench.pfns[0])
    cpus = bench.hardware.cpus
    monkeypatch.setattr(cpus._tlbs, "fill", lambda *_, **__: None)
    with pytest.raises(Disagreement, match=r"a load of process .* trapped, and again"):
        bench.call(lambda: cpus.load(bench.one, bench.mm, bench.base, 1))
    with pytest.raises(Disagreement, match="was just mapped"):
        bench.call(lambda: cpus.look(bench.mm, bench.base, Pte(bench.pfns[0], True), 1))


def test_a_process_that_somebody_killed_is_missed(bench: Bench) -> None:
    cpus = bench.hardware.cpus
    native.kill(bench.thread(bench.one).process.pid)
    with pytest.raises(ProcessDied, match="was killed by SIGKILL during a load"):
        bench.call(lambda: cpus.load(bench.one, bench.mm, bench.base, 1))
