"""mremap moves entries and leaves frames, and whoever holds them, alone."""

from __future__ import annotations

import errno

import pytest

from tests.common import one_page, run_steps, two_mms
from uemu.abi import PAGE_SIZE
from uemu.errors import Fault
from uemu.step import run


def test_the_frame_is_found_at_the_new_address() -> None:
    world, parent, buf = one_page()
    page = parent.page(buf)
    new = run(world.kernel.mremap(parent.cpu, parent.mm, buf, PAGE_SIZE, 2 * PAGE_SIZE))
    assert parent.page(new) is page
    assert parent.load(new) == b"I"
    parent.store(new + PAGE_SIZE, b"x")
    with pytest.raises(Fault):
        parent.load(buf)
    world.kernel.check(at_rest=True)


def test_it_takes_mmap_lock_then_moves_each_entry() -> None:
    world, parent, buf = one_page()
    _, taken = run_steps(world.kernel.mremap(parent.cpu, parent.mm, buf, PAGE_SIZE, PAGE_SIZE))
    assert taken == ["mremap", "move_ptes"]


def test_a_transfer_in_flight_arrives_at_the_new_address() -> None:
    world, parent, buf = one_page("linux-6.5")
    read = parent.read_disk(buf)
    new = run(world.kernel.mremap(parent.cpu, parent.mm, buf, PAGE_SIZE, PAGE_SIZE))
    world.device_writes(read, b"D")
    world.complete(read)
    assert parent.load(new) == b"D"
    assert world.kinds() == set()


def test_a_transfer_is_lost_after_a_move_as_before_it() -> None:
    world, parent, buf = one_page("linux-2.6.29")
    read = parent.read_disk(buf)
    parent.fork()
    new = run(world.kernel.mremap(parent.cpu, parent.mm, buf, PAGE_SIZE, PAGE_SIZE))
    parent.store(new + 8, b"P")
    world.device_writes(read, b"D")
    world.complete(read)
    assert world.kinds() == {"lost-dma-write", "dma-write-seen-by-other"}


def test_the_child_keeps_its_own_address() -> None:
    world, parent, child, buf = two_mms()
    new = run(world.kernel.mremap(parent.cpu, parent.mm, buf, PAGE_SIZE, PAGE_SIZE))
    parent.store(new, b"P")
    assert child.load(buf) == b"I"


@pytest.mark.parametrize(
    ("offset", "old", "new", "error"),
    [
        (1, PAGE_SIZE, PAGE_SIZE, errno.EINVAL),
        (0, 0, PAGE_SIZE, errno.EINVAL),
        (0, 2 * PAGE_SIZE, PAGE_SIZE, errno.EINVAL),
        (0, 2 * PAGE_SIZE, 2 * PAGE_SIZE, errno.EFAULT),
        (-PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, errno.EFAULT),
        (0, PAGE_SIZE, 1 << 60, errno.ENOMEM),
    ],
)
def test_bad_ranges_are_refused_and_nothing_changes(
    offset: int, old: int, new: int, error: int
) -> None:
    world, parent, buf = one_page()
    with pytest.raises(Fault) as refused:
        run(world.kernel.mremap(parent.cpu, parent.mm, buf + offset, old, new))
    assert refused.value.errno == error
    assert parent.load(buf) == b"I"
    parent.munmap(buf)
