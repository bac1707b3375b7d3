"""linux-6.5: as 5.19, and O_DIRECT pins."""

from __future__ import annotations

import pytest

from tests.common import one_page, two_mms
from uemu.abi import Foll
from uemu.mm.hooks import APIS
from uemu.policy.registry import NEWEST, make_policy

POLICY = "linux-6.5"


@pytest.mark.parametrize("write", [True, False])
def test_o_direct_pins_for_one_request(write: bool) -> None:
    call = make_policy(POLICY).gup_kind("o_direct", write=write)
    assert call.foll == Foll.PIN | (Foll.WRITE if write else Foll(0))
    assert call.fast


@pytest.mark.parametrize("api", [api for api in APIS if api not in ("o_direct", "rdma")])
def test_the_other_apis_are_as_in_5_19(api: str) -> None:
    new, old = make_policy(POLICY), make_policy("linux-5.19")
    assert new.gup_kind(api, write=False) == old.gup_kind(api, write=False)


def test_rdma_asks_for_write_only_where_it_writes() -> None:
    """Since b40656aa7d55 (v6.2)."""
    assert Foll.WRITE not in make_policy(POLICY).gup_kind("rdma", write=False).foll
    assert Foll.WRITE in make_policy(POLICY).gup_kind("rdma", write=True).foll
    assert Foll.WRITE in make_policy("linux-5.19").gup_kind("rdma", write=False).foll


@pytest.mark.parametrize(("policy", "seen"), [(POLICY, b"PD"), ("linux-5.19", b"PI")])
def test_a_read_in_flight_survives_fork_from_here_on(policy: str, seen: bytes) -> None:
    world, parent, buf = one_page(policy)
    read = parent.read_disk(buf)
    parent.fork()
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert parent.load(buf, 2) == seen


@pytest.mark.parametrize(("policy", "read"), [(POLICY, b"P"), ("linux-5.19", b"I")])
def test_a_write_from_a_shared_page_sends_what_the_parent_stores(policy: str, read: bytes) -> None:
    """Ground truth, case d2: the pin unshares, a get does not."""
    world, parent, _, buf = two_mms(policy)
    write = parent.write_disk(buf)
    parent.store(buf, b"P")
    assert world.device_reads(write) == read
    assert world.kinds() == set()


def test_vmsplice_is_still_a_get() -> None:
    world, parent, child, buf = two_mms(POLICY)
    pipe = parent.write_disk(buf, api="vmsplice")
    assert parent.page(buf) is child.page(buf)
    parent.store(buf, b"P")
    assert world.device_reads(pipe) == b"I"


def test_it_is_the_newest() -> None:
    assert NEWEST == POLICY


@pytest.mark.parametrize(("policy", "kinds"), [(POLICY, set()), ("linux-5.19", {"stale-dma-read"})])
def test_a_read_only_long_term_pin_of_untouched_memory_does_not_go_stale(
    policy: str, kinds: set[str]
) -> None:
    """Since 84209e87c696 (v6.2) the zero page is unshared first; VFIO, and the page is written."""
    world, parent, _ = one_page(policy)
    fresh = parent.mmap()
    region = parent.register(fresh, writable=False, api="vfio")
    parent.store(fresh, b"P")
    read = world.device_reads(region)
    assert read == (b"P" if not kinds else b"\0")
    assert world.kinds() == kinds
