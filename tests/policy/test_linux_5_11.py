"""linux-5.11: as 5.9, and write_protect_seq between fork and fast pins."""

from __future__ import annotations

import pytest

from tests.common import one_page, run_steps, two_mms
from uemu.abi import PROT_READ, PROT_WRITE, Foll
from uemu.mm.grab import gup_release
from uemu.mm.gup import lockless_pages_from_mm
from uemu.mm.hooks import APIS
from uemu.policy.linux_5_9 import Linux5_9
from uemu.policy.linux_5_11 import WRITE_PROTECT_SEQ, Linux5_11
from uemu.policy.registry import POLICIES, make_policy
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.simulate import simulate
from uemu.step import run

POLICY = "linux-5.11"
FAST_PIN = Foll.PIN | Foll.LONGTERM | Foll.WRITE


def test_write_fault_and_fork_decide_as_in_5_9() -> None:
    for rule in (
        "copy_present_pte",
        "page_needs_cow_for_dma",
        "reuse_anon_page",
        "follow_page_pte",
    ):
        assert getattr(Linux5_11, rule) is getattr(Linux5_9, rule)


@pytest.mark.parametrize("api", APIS)
def test_every_api_takes_its_reference_as_in_5_9(api: str) -> None:
    ours, before = make_policy(POLICY), make_policy("linux-5.9")
    assert ours.gup_kind(api, write=False) == before.gup_kind(api, write=False)


@pytest.mark.parametrize(("policy", "held"), [(POLICY, 0), ("linux-5.9", 1)])
def test_gup_fast_does_not_pin_while_fork_runs(policy: str, held: int) -> None:
    world, parent, buf = one_page(policy)
    other = world.cpu_of(parent.mm)
    fork = world.kernel.fork(parent.cpu, parent.mm)
    while next(fork).what != "share read-only":  # fork has found no pin
        pass
    assert parent.pte(buf).write
    pages = run(lockless_pages_from_mm(world.kernel.mech, other, parent.mm, [buf], FAST_PIN))
    assert len(pages) == held
    child = run(fork)
    assert child.pte(buf).peek() == parent.pte(buf)  # shared, though 5.9 holds a pin
    for page in pages:
        gup_release(world.kernel.mech, other, page, FAST_PIN)
    world.kernel.check(at_rest=True)


def test_a_get_does_not_ask() -> None:
    world, parent, buf = one_page(POLICY)
    other = world.cpu_of(parent.mm)
    fork = world.kernel.fork(parent.cpu, parent.mm)
    while next(fork).what != "share read-only":
        pass
    foll = Foll.GET | Foll.WRITE
    (page,) = run(lockless_pages_from_mm(world.kernel.mech, other, parent.mm, [buf], foll))
    run(fork)
    gup_release(world.kernel.mech, other, page, foll)


def test_pins_are_given_back_when_fork_ran_meanwhile() -> None:
    world, parent, buf = one_page(POLICY)
    other = world.cpu_of(parent.mm)
    page = parent.page(buf)
    gup = lockless_pages_from_mm(world.kernel.mech, other, parent.mm, [buf], FAST_PIN)
    while next(gup).what != "write_protect_seq same ?":
        pass
    assert page.refcount.peek() == 1 + 1024
    parent.fork()  # it saw the pin and copied; gup-fast cannot know
    with pytest.raises(StopIteration) as stop:
        next(gup)
    assert stop.value.value == []
    assert page.refcount.peek() == 1


def test_fork_counts_twice_for_each_mapping_it_copies() -> None:
    _, parent, _ = one_page(POLICY)
    parent.mmap()
    parent.fork()
    assert parent.mm.extra(WRITE_PROTECT_SEQ).peek() == 4


def test_clear_refs_seq_is_a_variant_of_this_kernel_alone_and_changes_nothing_here() -> None:
    assert list(POLICIES[POLICY].variants) == ["clear-refs-seq"]
    assert "clear-refs-seq" not in POLICIES["linux-5.19"].variants
    scenario = SCENARIOS["gup-fast-vs-fork"]
    variant = simulate(scenario, f"{POLICY}:clear-refs-seq")
    assert variant.kinds == simulate(scenario, POLICY).kinds


def test_whoever_write_protects_raises_the_same_counter() -> None:
    """What clear_refs would call, in a function of its own."""
    world, parent, buf = one_page(POLICY)
    hooks = world.hooks
    assert isinstance(hooks, Linux5_11)
    _, taken = run_steps(hooks.write_protect_begin(parent.cpu, parent.mm, "clear_refs_write"))
    assert taken == ["clear_refs_write"]
    pages = lockless_pages_from_mm(world.kernel.mech, parent.cpu, parent.mm, [buf], FAST_PIN)
    assert run(pages) == []
    run(hooks.write_protect_end(parent.cpu, parent.mm, "clear_refs_write"))
    pages = lockless_pages_from_mm(world.kernel.mech, parent.cpu, parent.mm, [buf], FAST_PIN)
    assert run(pages) == [parent.page(buf)]


def test_mprotect_to_read_only_and_back_still_loses_a_pinned_page() -> None:
    """Ground truth, case a3 on 5.10: no seqcount helps a write fault."""
    world, parent, buf = one_page(POLICY)
    registered = parent.register(buf, api="io_uring")
    parent.mprotect(buf, PROT_READ)
    parent.mprotect(buf, PROT_READ | PROT_WRITE)
    parent.store(buf, b"P")
    world.device_writes(registered, b"D", start=1)
    assert world.kinds() == {"lost-dma-write"}


def test_a_read_only_pin_of_a_shared_page_still_goes_stale() -> None:
    world, parent, _, buf = two_mms(POLICY)
    vfio = parent.register(buf, writable=False, api="vfio")
    parent.store(buf, b"P")
    assert world.device_reads(vfio) == b"I"
    assert world.kinds() == {"stale-dma-read"}
