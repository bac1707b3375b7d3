"""KSM: what becomes one page, what does not, and what a store makes of it."""

from __future__ import annotations

import pytest

from tests.common import ALL_POLICIES, Process, TinyWorld
from uemu.abi import PAGE_SIZE
from uemu.errors import Fault
from uemu.mm.ksm import MERGED
from uemu.policy.registry import make_policy
from uemu.step import Cpu, run

KSMD = Cpu("ksmd")
every_policy = pytest.mark.parametrize(
    "policy", [name for name in ALL_POLICIES if make_policy(name).has_ksm]
)


def merge(first: Process, at: int, second: Process, at2: int) -> str:
    """Make one page of two."""
    return run(first.world.kernel.ksm_merge(KSMD, (first.mm, at), (second.mm, at2)))


def alike(policy: str) -> tuple[TinyWorld, Process, Process, int]:
    """Two processes with a page of the same bytes each, at one address."""
    world = TinyWorld(policy)
    one, other = world.process(name="one"), world.process(name="other")
    buf = one.mmap()
    assert other.mmap() == buf
    for process in (one, other):
        process.store(buf, b"3" * PAGE_SIZE)
    return world, one, other, buf


@every_policy
def test_pages_of_the_same_bytes_become_one_and_a_store_parts_them(policy: str) -> None:
    world, one, other, buf = alike(policy)
    assert merge(one, buf, other, buf) == MERGED
    assert one.pte(buf).pfn == other.pte(buf).pfn
    world.kernel.check(at_rest=True)
    one.store(buf, b"x")
    assert other.load(buf) == b"3"
    other.store(buf, b"y")
    assert one.load(buf) == b"x"
    assert one.pte(buf).pfn != other.pte(buf).pfn
    world.kernel.check(at_rest=True)


def test_pages_that_differ_stay_two() -> None:
    world, one, other, buf = alike("linux-4.19")
    other.store(buf + 5, b"x")
    assert merge(one, buf, other, buf) == "the second stays: they differ"
    assert merge(other, buf, other, buf + PAGE_SIZE) == "the second is not there"
    world.kernel.check(at_rest=True)


@every_policy
@pytest.mark.parametrize("holder", [0, 1])
def test_what_is_held_is_not_merged(policy: str, holder: int) -> None:
    world, one, other, buf = alike(policy)
    held = (one, other)[holder]
    memory = held.register(buf)
    assert merge(one, buf, other, buf).endswith("others refer to it")
    world.device_writes(memory, b"D")
    assert held.load(buf) == b"D"
    assert (other, one)[holder].load(buf) == b"3"
    world.release(memory)
    assert not world.kinds()
    world.kernel.check(at_rest=True)


@every_policy
def test_a_device_write_to_a_merged_page_first_breaks_cow(policy: str) -> None:
    world, one, other, buf = alike(policy)
    merge(one, buf, other, buf)
    memory = one.register(buf)
    world.device_writes(memory, b"D")
    assert one.load(buf) == b"D"
    assert other.load(buf) == b"3"
    world.release(memory)
    assert not world.kinds()


def test_a_third_page_joins_the_two() -> None:
    world, one, other, buf = alike("linux-6.5")
    merge(one, buf, other, buf)
    third = one.mmap()
    one.store(third, b"3" * PAGE_SIZE)
    assert merge(one, buf, one, third) == MERGED
    assert one.page(third).mapcount.peek() == 3
    world.kernel.check(at_rest=True)


def test_a_kernel_without_it_says_so() -> None:
    _, one, other, buf = alike("linux-2.6.29")
    with pytest.raises(Fault, match="KSM"):
        merge(one, buf, other, buf)
