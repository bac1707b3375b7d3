"""What a guest stores and loads through a secondary MMU, whatever becomes of the page meanwhile."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from tests.common import Process, TinyWorld, one_page
from uemu.abi import MADV_DONTNEED, PAGE_SIZE, PROT_READ, PROT_WRITE
from uemu.errors import Fault
from uemu.explore import explore
from uemu.kernel import SecondaryMmu
from uemu.kernel.secondary import PAGE_POISON
from uemu.mm import fault, fork, mprotect, reclaim
from uemu.mm.ksm import MERGED
from uemu.mm.migrate import MIGRATED
from uemu.mm.notifier_hooks import SECONDARY_MMUS, Told
from uemu.mm.reclaim import FREED
from uemu.policy.kosaki_2009_dont_unmap import Kosaki2009DontUnmap
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.world import SimulatedWorld
from uemu.step import Cpu, Op, run

POLICIES = ("linux-2.6.29", "kosaki-2009-dont-unmap", "piggin-2009-vma",
            "torvalds-2009-directed-cow", "linux-4.19", "linux-5.8", "linux-6.5")  # fmt: skip
VCPU = Cpu("vcpu")


def attach(parent: Process, addr: int, kind: str = "kvm", nr_pages: int = 1) -> SecondaryMmu:
    kernel = parent.world.kernel
    return run(kernel.attach_secondary(parent.cpu, parent.mm, addr, nr_pages * PAGE_SIZE, kind))


def swap_out(parent: Process, addr: int) -> str:
    """Once to notice that a guest used the page, once in earnest."""
    kernel = parent.world.kernel
    said = run(kernel.swap_out(Cpu("kswapd"), parent.mm, addr))
    if said == "it is referenced":
        said = run(kernel.swap_out(Cpu("kswapd"), parent.mm, addr))
    return said


def swapped(world: TinyWorld, parent: Process, buf: int) -> None:
    assert swap_out(parent, buf) == FREED


def migrated(world: TinyWorld, parent: Process, buf: int) -> None:
    assert run(world.kernel.migrate(Cpu("kcompactd"), parent.mm, buf)) == MIGRATED


def forked(world: TinyWorld, parent: Process, buf: int) -> None:
    child = parent.fork()
    parent.store(buf + 8, b"p")
    child.store(buf + 8, b"c")


def forked_and_child_gone(world: TinyWorld, parent: Process, buf: int) -> None:
    child = parent.fork()
    child.store(buf + 8, b"c")
    child.exit()


def protected(world: TinyWorld, parent: Process, buf: int) -> None:
    parent.mprotect(buf, PROT_READ)
    parent.mprotect(buf, PROT_READ | PROT_WRITE)
    parent.store(buf + 8, b"p")


def dropped(world: TinyWorld, parent: Process, buf: int) -> None:
    parent.madvise(buf, MADV_DONTNEED)


EVENTS = (swapped, migrated, forked, forked_and_child_gone, protected, dropped)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", SECONDARY_MMUS)
@pytest.mark.parametrize("event", EVENTS)
def test_a_guest_follows_its_process(
    policy: str, kind: str, event: Callable[[TinyWorld, Process, int], None]
) -> None:
    world, parent, buf = one_page(policy)
    mmu = attach(parent, buf, kind)
    run(mmu.store(VCPU, 16, b"G"))
    event(world, parent, buf)
    parent.store(buf, b"P")
    assert run(mmu.load(VCPU, 0, 1)) == b"P"
    run(mmu.store(VCPU, 17, b"H"))
    assert parent.load(buf + 17) == b"H"
    assert not world.kinds()
    world.kernel.check(at_rest=not world.hooks.leaks())
    parent.exit()
    world.kernel.check(at_rest=not world.hooks.leaks())


def test_what_a_guest_stored_comes_back_from_swap() -> None:
    world, parent, buf = one_page()
    mmu = attach(parent, buf, "gru")
    run(mmu.store(VCPU, 16, b"G"))
    swapped(world, parent, buf)
    assert parent.load(buf + 16) == b"G"
    assert run(mmu.load(VCPU, 16, 1)) == b"G"


def test_a_child_sees_nothing_of_what_the_guest_stores_later() -> None:
    world, parent, buf = one_page()
    mmu = attach(parent, buf)
    run(mmu.store(VCPU, 16, b"G"))
    child = parent.fork()
    run(mmu.store(VCPU, 16, b"H"))
    assert (parent.load(buf + 16), child.load(buf + 16)) == (b"H", b"G")
    assert not world.kinds()


@pytest.mark.parametrize(
    ("policy", "kind", "references"),
    [
        ("linux-2.6.29", "kvm", 2),
        ("linux-2.6.29", "xpmem", 2),
        ("linux-2.6.29", "gru", 1),
        ("linux-4.19", "kvm", 1),
        ("linux-4.19", "xpmem", 2),
    ],
)
def test_who_holds_what_it_translates(policy: str, kind: str, references: int) -> None:
    _, parent, buf = one_page(policy)
    mmu = attach(parent, buf, kind)
    run(mmu.store(VCPU, 0, b"G"))
    assert parent.page(buf).refcount.peek() == references
    run(mmu.detach(VCPU))
    assert parent.page(buf).refcount.peek() == 1
    with pytest.raises(Fault):
        run(mmu.store(VCPU, 0, b"G"))


def test_equal_pages_are_merged_though_a_guest_had_them() -> None:
    world = TinyWorld("linux-4.19")
    parent = world.process()
    buf = parent.mmap(2)
    parent.store(buf, b"I" * 2 * PAGE_SIZE)
    mmu = attach(parent, buf, "xpmem", 2)
    run(mmu.load(VCPU, 0, 2 * PAGE_SIZE))
    places = (parent.mm, buf), (parent.mm, buf + PAGE_SIZE)
    assert run(world.kernel.ksm_merge(Cpu("ksmd"), *places)) == MERGED
    run(mmu.store(VCPU, 0, b"G"))
    assert (parent.load(buf), parent.load(buf + PAGE_SIZE)) == (b"G", b"I")
    assert not world.kinds()


def test_a_page_that_a_guest_used_is_left_alone_once() -> None:
    world, parent, buf = one_page()
    mmu = attach(parent, buf)
    run(mmu.store(VCPU, 0, b"G"))
    kswapd, kernel = Cpu("kswapd"), world.kernel
    assert run(kernel.swap_out(kswapd, parent.mm, buf)) == "it is referenced"
    assert run(kernel.swap_out(kswapd, parent.mm, buf)) == FREED


def test_what_is_unmapped_moved_or_over_is_no_memory_of_a_guest() -> None:
    _, parent, buf = one_page()
    mmu = attach(parent, buf)
    run(mmu.store(VCPU, 0, b"G"))
    run(parent.world.kernel.mremap(parent.cpu, parent.mm, buf, PAGE_SIZE, PAGE_SIZE))
    with pytest.raises(Fault) as moved:
        run(mmu.load(VCPU, 0, 1))
    assert moved.value.errno == errno.EFAULT
    _, parent, buf = one_page()
    mmu = attach(parent, buf)
    run(mmu.store(VCPU, 0, b"G"))
    parent.exit()
    with pytest.raises(Fault):
        run(mmu.load(VCPU, 0, 1))
    with pytest.raises(ValueError, match="not inside"):
        run(mmu.load(VCPU, PAGE_SIZE, 1))


def test_who_cannot_attach_is_told_why() -> None:
    _, parent, buf = one_page()
    with pytest.raises(ValueError, match="kvm, xpmem, gru"):
        attach(parent, buf, "tpu")
    with pytest.raises(Fault, match="kvm of what is not mapped"):
        attach(parent, buf + PAGE_SIZE)
    with pytest.raises(Fault, match="multiple of 4096"):
        attach(parent, buf + 8)
    _, parent, buf = one_page("linux-2.6.7")
    with pytest.raises(Fault) as refused:
        attach(parent, buf)
    assert refused.value.errno == errno.ENOSYS


# Mutants: each takes one call of a notifier away, and a guest stays behind ---------------------


class TellsNobody(Linux2_6_29):
    """ptep_clear_flush() in the place of ptep_clear_flush_notify()."""

    unmap_tells = Told.BEFORE


def test_a_guest_that_reclaim_does_not_tell_keeps_a_freed_page() -> None:
    world, parent, buf = one_page(TellsNobody())
    mmu = attach(parent, buf, "gru")
    run(mmu.store(VCPU, 0, b"G"))
    assert swap_out(parent, buf) == FREED
    assert world.kinds() == {"pinned-page-freed"}
    run(mmu.store(VCPU, 0, b"H"))
    assert run(mmu.load(VCPU, 0, 1)) == bytes([PAGE_POISON])
    assert world.kinds() >= {"pinned-page-freed", "lost-dma-write", "stale-dma-read"}


def test_a_pin_that_nobody_releases_stays_in_the_way() -> None:
    _, parent, buf = one_page(TellsNobody())
    mmu = attach(parent, buf, "kvm")
    run(mmu.store(VCPU, 0, b"G"))
    assert swap_out(parent, buf) == "others refer to it"


def nothing(cpu: Cpu, *where: object) -> Op[None]:
    return
    yield


def test_a_guest_that_fork_does_not_tell_stores_into_the_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fork, "invalidate_range_start", nothing)
    monkeypatch.setattr(fork, "invalidate_range_end", nothing)
    world, parent, buf = one_page()
    mmu = attach(parent, buf)
    run(mmu.store(VCPU, 0, b"G"))
    parent.fork()
    run(mmu.store(VCPU, 0, b"H"))
    assert world.kinds() == {"dma-write-seen-by-other"}


@pytest.mark.parametrize("policy", ["linux-2.6.29", "linux-6.5"])
def test_a_guest_that_no_write_fault_tells_reads_what_is_old(
    policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for told in (True, False):
        if not told:
            monkeypatch.setattr(fault, "invalidate_page", nothing)
            monkeypatch.setattr(fault, "invalidate_range_start", nothing)
            monkeypatch.setattr(fault, "invalidate_range_end", nothing)
        world, parent, buf = one_page(policy)
        mmu = attach(parent, buf, "gru")
        child = parent.fork()
        assert run(mmu.load(VCPU, 0, 1)) == b"I"
        parent.store(buf, b"P")
        assert run(mmu.load(VCPU, 0, 1)) == (b"P" if told else b"I")
        assert world.kinds() == (set() if told else {"stale-dma-read"})
        assert child.load(buf) == b"I"


def test_a_guest_that_mprotect_does_not_tell_stores_to_what_is_read_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, parent, buf = one_page()
    mmu = attach(parent, buf)
    run(mmu.store(VCPU, 0, b"G"))
    parent.mprotect(buf, PROT_READ)
    with pytest.raises(Fault):
        run(mmu.store(VCPU, 0, b"H"))
    monkeypatch.setattr(mprotect, "invalidate_range_start", nothing)
    monkeypatch.setattr(mprotect, "invalidate_range_end", nothing)
    _, parent, buf = one_page()
    mmu = attach(parent, buf)
    run(mmu.store(VCPU, 0, b"G"))
    parent.mprotect(buf, PROT_READ)
    run(mmu.store(VCPU, 0, b"H"))


class NoNotifierFirst(Kosaki2009DontUnmap):
    """The patch without its first line."""

    def unmap_looks(self, cpu: Cpu, mm: object, base: int, page: object) -> Op[bool]:
        return Linux2_6_29.unmap_looks(self, cpu, mm, base, page)  # type: ignore[arg-type]


def test_kosaki_lets_secondary_pins_go_before_he_counts() -> None:
    for hooks, said in ((Kosaki2009DontUnmap(), FREED),
                        (NoNotifierFirst(), "it could not be unmapped")):  # fmt: skip
        world, parent, buf = one_page(hooks)
        mmu = attach(parent, buf, "kvm")
        run(mmu.store(VCPU, 0, b"G"))
        assert swap_out(parent, buf) == said
        assert not world.kinds()


def kinds_of(scenario: str, policy: str) -> set[str]:
    """What the orders of a scenario show, all of them."""
    found = explore(lambda: SimulatedWorld(SCENARIOS[scenario], policy))
    assert found.exhaustive
    return set(found.verdicts)


def test_a_fault_that_does_not_look_again_maps_a_page_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not kinds_of("secondary-mmu-no-pin", "linux-2.6.29")

    def without_seq(self: SecondaryMmu, cpu: Cpu, base: int) -> Op[None]:
        yield self.lock.step("mmu_notifier_invalidate_page", self.kind)
        self.lock.enter(cpu)
        self._drop(cpu, base)

    monkeypatch.setattr(SecondaryMmu, "invalidate_page", without_seq)
    assert "pinned-page-freed" in kinds_of("secondary-mmu-no-pin", "linux-2.6.29")


def test_a_range_that_is_not_held_until_its_end_lets_the_guest_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not kinds_of("secondary-mmu-no-pin", "linux-4.19")
    start = SecondaryMmu.invalidate_range_start

    def ends_at_once(self: SecondaryMmu, cpu: Cpu, first: int, end: int) -> Op[None]:
        yield from start(self, cpu, first, end)
        yield from SecondaryMmu.invalidate_range_end(self, cpu, first, end)

    monkeypatch.setattr(SecondaryMmu, "invalidate_range_start", ends_at_once)
    monkeypatch.setattr(reclaim, "invalidate_range_end", nothing)
    assert "pinned-page-freed" in kinds_of("secondary-mmu-no-pin", "linux-4.19")


def test_a_guest_without_a_pin_is_back_before_kosaki_clears_the_entry() -> None:
    scenario = SCENARIOS["secondary-mmu-no-pin"]
    wanted = frozenset({"pinned-page-freed"})
    found = explore(
        lambda: SimulatedWorld(scenario, "kosaki-2009-dont-unmap"),
        wanted=wanted,
        stop_at_first=True,
    )
    assert wanted <= set(found.verdicts)


@pytest.mark.slow
def test_a_guest_with_one_is_seen_when_kosaki_counts_again() -> None:
    assert not kinds_of("secondary-mmu-reclaim", "kosaki-2009-dont-unmap")
