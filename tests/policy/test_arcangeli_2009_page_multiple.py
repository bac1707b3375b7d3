"""arcangeli-2009-page-multiple: EINVAL for less than a page; what is left is in the buffers."""

from __future__ import annotations

import errno

import pytest

from tests.common import Process, TinyWorld, one_page
from uemu.abi import PAGE_SIZE, Direction
from uemu.errors import Fault
from uemu.step import run

POLICY = "arcangeli-2009-page-multiple"


def two_pages(policy: str = POLICY) -> tuple[TinyWorld, Process, int]:
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap(2)
    parent.store(buf, b"I" * (2 * PAGE_SIZE))
    return world, parent, buf


@pytest.mark.parametrize("api", ["read", "write"])
@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 512), (512, PAGE_SIZE), (0, PAGE_SIZE + 512), (PAGE_SIZE - 512, 512), (8, 8)],
)
def test_less_than_a_page_is_refused_and_nothing_held(api: str, offset: int, length: int) -> None:
    world, parent, buf = two_pages()
    submit = parent.read_disk if api == "read" else parent.write_disk
    with pytest.raises(Fault, match=f"multiples of {PAGE_SIZE} bytes") as caught:
        submit(buf + offset, length)
    assert caught.value.errno == errno.EINVAL
    assert repr(parent.page(buf)) == "<pfn 0 1/1>"
    world.kernel.check(at_rest=True)


def test_2_6_29_takes_sectors() -> None:
    _, parent, buf = two_pages("linux-2.6.29")
    parent.read_disk(buf + PAGE_SIZE - 512, 512)
    assert repr(parent.page(buf)) == "<pfn 0 2/1>"


def test_each_piece_counts() -> None:
    world, parent, buf = two_pages()
    iov = [(buf, PAGE_SIZE), (buf + PAGE_SIZE, 512)]
    way = Direction.FROM_DEVICE
    with pytest.raises(Fault):
        run(world.kernel.io.dio_submit(parent.cpu, parent.mm, iov, way, "o_direct"))
    assert repr(parent.page(buf)) == "<pfn 0 1/1>"


def test_whole_pages_are_read() -> None:
    world, parent, buf = two_pages()
    read = parent.read_disk(buf, 2 * PAGE_SIZE)
    world.device_writes(read, b"D" * 2 * PAGE_SIZE)
    world.complete(read)
    assert parent.load(buf + PAGE_SIZE - 1, 2) == b"DD"
    assert world.kinds() == set()


def test_a_store_beside_the_buffer_leaves_the_page_under_io() -> None:
    world, parent, buf = two_pages()
    read = parent.read_disk(buf)
    parent.fork()
    parent.store(buf + PAGE_SIZE, b"P")
    world.device_writes(read, b"D")
    world.complete(read)
    assert parent.load(buf) == b"D"
    assert world.kinds() == {"dma-write-seen-by-other"}


def test_a_store_into_the_buffer_still_loses_the_read() -> None:
    """The breakage that is left: "an undefined behavior"."""
    world, parent, buf = one_page(POLICY)
    read = parent.read_disk(buf)
    parent.fork()
    parent.store(buf, b"P")
    world.device_writes(read, b"D", start=1)
    world.complete(read)
    assert parent.load(buf, 2) == b"PI"
    assert world.kinds() == {"lost-dma-write", "dma-write-seen-by-other"}


def test_a_store_of_the_child_reaches_the_disk_still() -> None:
    """No behaviour of the program's is undefined here: nobody touches the parent's buffer."""
    world, parent, buf = one_page(POLICY)
    child = parent.fork()
    write = parent.write_disk(buf)
    parent.munmap(buf)
    child.store(buf, b"C")
    assert world.device_reads(write) == b"C"


@pytest.mark.parametrize("api", ["rdma", "vfio"])
def test_a_registration_may_be_part_of_a_page(api: str) -> None:
    world, parent, buf = one_page(POLICY)
    registration = run(world.kernel.io.register(parent.cpu, parent.mm, buf + 512, 512, True, api))
    world.release(registration)


def test_vmsplice_takes_part_of_a_page() -> None:
    world, parent, buf = one_page(POLICY)
    world.complete(parent.write_disk(buf + 8, 8, api="vmsplice"))
