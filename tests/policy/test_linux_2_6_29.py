"""linux-2.6.29: a write fault asks the mapcount; what devices hold does not count."""

from __future__ import annotations

import pytest

from tests.common import one_page, two_mms
from uemu.abi import PROT_READ, PROT_WRITE
from uemu.events import PageCopied

POLICY = "linux-2.6.29"


def test_fork_shares_a_page_under_io() -> None:
    world, parent, buf = one_page(POLICY)
    parent.read_disk(buf)
    child = parent.fork()
    assert child.page(buf) is parent.page(buf)
    assert repr(parent.page(buf)) == "<pfn 0 3/2>"
    assert world.log(PageCopied) == []


def test_the_first_to_store_after_fork_gets_the_copy() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    child = parent.fork()
    held = parent.page(buf)
    parent.store(buf, b"P")
    assert parent.page(buf) is not held
    assert child.page(buf) is held
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert (parent.load(buf, 2), child.load(buf, 2)) == (b"PI", b"ID")
    assert world.kinds() == {"lost-dma-write", "dma-write-seen-by-other"}


def test_when_the_child_stores_first_the_parent_keeps_its_read() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    child = parent.fork()
    child.store(buf, b"C")
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert (parent.load(buf, 2), child.load(buf, 2)) == (b"PD", b"CI")
    assert world.kinds() == set()


def test_a_store_after_the_device_loses_nothing() -> None:
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    child = parent.fork()
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    parent.store(buf, b"P")
    assert (parent.load(buf, 2), child.load(buf, 2)) == (b"PD", b"ID")
    assert world.kinds() == {"dma-write-seen-by-other"}


def test_a_reference_alone_makes_nobody_copy() -> None:
    world, parent, buf = one_page(POLICY)
    parent.read_disk(buf)
    parent.mprotect(buf, PROT_READ)
    parent.mprotect(buf, PROT_READ | PROT_WRITE)
    parent.store(buf, b"P")
    assert world.log(PageCopied) == []


def test_a_read_gup_takes_the_shared_page_as_it_is() -> None:
    world, parent, child, buf = two_mms(POLICY)
    parent.write_disk(buf)
    assert parent.page(buf) is child.page(buf)
    assert repr(parent.page(buf)) == "<pfn 0 3/2>"
    assert world.log(PageCopied) == []


@pytest.mark.parametrize("api", ["rdma", "io_uring", "vfio"])
def test_a_registration_is_a_get_and_is_lost_over_fork(api: str) -> None:
    world, parent, buf = one_page(POLICY)
    registered = parent.register(buf, api=api)
    assert repr(parent.page(buf)) == "<pfn 0 2/1>"
    parent.fork()
    parent.store(buf, b"P")
    world.device_writes(registered, b"D", start=1)
    assert parent.load(buf + 1) == b"I"
    assert "lost-dma-write" in world.kinds()


def test_a_kept_reference_reads_what_the_other_stores_later() -> None:
    """CVE-2020-29374."""
    world, parent, child, buf = two_mms(POLICY)
    pipe = child.write_disk(buf, api="vmsplice")
    child.munmap(buf)
    parent.store(buf, b"S")
    assert world.device_reads(pipe) == b"S"
    assert world.kinds() == {"secret-leak"}


def test_a_reader_that_keeps_its_mapping_reads_nothing_new() -> None:
    world, parent, child, buf = two_mms(POLICY)
    pipe = child.write_disk(buf, api="vmsplice")
    parent.store(buf, b"S")
    assert world.device_reads(pipe) == b"I"
    assert world.kinds() == set()


@pytest.mark.parametrize("policy", ["linux-2.6.29", "arcangeli-2009-v2"])
def test_a_read_gup_of_untouched_memory_maps_nothing_and_goes_stale(policy: str) -> None:
    """follow_page with FOLL_ANON, up to 2.6.31; ground truth, case z1."""
    world, parent, _ = one_page(policy)
    fresh = parent.mmap()
    region = parent.register(fresh, writable=False, api="vfio")
    assert parent.mm.pte(fresh).peek() is None
    parent.store(fresh, b"P")
    assert world.device_reads(region) == b"\0"
    assert world.kinds() == {"stale-dma-read"}
    world.release(region)
    world.kernel.check(at_rest=True)
