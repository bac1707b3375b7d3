"""Buffers in several pieces: held in order, moved in order, given back together."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.common import SECTOR_POLICIES, Process, TinyWorld, one_page
from uemu.abi import GUP_PIN_COUNTING_BIAS, PAGE_SIZE, PROT_READ, Direction
from uemu.dma.engine import Segment, Transfer
from uemu.errors import Fault
from uemu.events import DeviceWrote, IoStarted
from uemu.step import run

takes_sectors = pytest.mark.parametrize("policy", SECTOR_POLICIES)

K = 1024
FROM, TO = Direction.FROM_DEVICE, Direction.TO_DEVICE


def three_pages(policy: str = "linux-6.5") -> tuple[TinyWorld, Process, int]:
    """A process that mapped three pages and filled them with ``I``; their address."""
    world = TinyWorld(policy)
    parent = world.process()
    buf = parent.mmap(3)
    parent.store(buf, b"I" * 3 * PAGE_SIZE)
    return world, parent, buf


def submit(process: Process, iov: Sequence[tuple[int, int]], way: Direction = FROM) -> Transfer:
    kernel = process.world.kernel
    return run(kernel.io.dio_submit(process.cpu, process.mm, iov, way, "o_direct"))


def pfns(process: Process, *addrs: int) -> list[int]:
    return [process.pte(addr).pfn for addr in addrs]


# What is held -----------------------------------------------------------------------------------


def test_pieces_are_segments_in_their_order() -> None:
    _, parent, buf = three_pages()
    transfer = submit(parent, [(buf + 2 * PAGE_SIZE, K), (buf, 2 * K), (buf + PAGE_SIZE + K, K)])
    third, first, second = pfns(parent, buf + 2 * PAGE_SIZE, buf, buf + PAGE_SIZE)
    assert transfer.segments == (
        Segment(third, 0, K),
        Segment(first, 0, 2 * K),
        Segment(second, K, K),
    )
    assert transfer.length == 4 * K


def test_a_piece_over_a_page_boundary_is_two_segments() -> None:
    world, parent, buf = three_pages()
    transfer = submit(parent, [(buf + PAGE_SIZE - K, 2 * K), (buf + 3 * PAGE_SIZE - K, K)])
    assert [(each.offset, each.length) for each in transfer.segments] == [
        (PAGE_SIZE - K, K),
        (0, K),
        (PAGE_SIZE - K, K),
    ]
    (started,) = world.log(IoStarted)
    assert [held.addr - buf for held in started.held] == [
        PAGE_SIZE - K,
        PAGE_SIZE,
        3 * PAGE_SIZE - K,
    ]


@takes_sectors
def test_a_page_is_held_once_for_each_piece_of_it(policy: str) -> None:
    world, parent, buf = three_pages(policy)
    one = submit(parent, [(buf, K)])
    each = parent.page(buf).refcount.peek() - 1
    assert each in (1, GUP_PIN_COUNTING_BIAS)
    world.complete(one)
    two = submit(parent, [(buf, K), (buf + PAGE_SIZE, K), (buf + 2 * K, K)])
    (first, second) = pfns(parent, buf, buf + PAGE_SIZE)
    assert world.kernel.io.holds() == Counter({first: 2 * each, second: each})
    assert parent.page(buf).refcount.peek() == 1 + 2 * each
    world.kernel.check(at_rest=True)
    world.complete(two)
    assert parent.page(buf).refcount.peek() == 1
    world.kernel.check(at_rest=True)


def test_one_piece_is_as_ever() -> None:
    _, parent, buf = three_pages()
    pieces = submit(parent, [(buf, PAGE_SIZE), (buf + PAGE_SIZE, PAGE_SIZE)])
    whole = submit(parent, [(buf, 2 * PAGE_SIZE)])
    assert pieces.segments == whole.segments


# What is moved ----------------------------------------------------------------------------------


@takes_sectors
def test_a_device_writes_the_pieces_one_after_the_other(policy: str) -> None:
    world, parent, buf = three_pages(policy)
    transfer = submit(parent, [(buf + 2 * PAGE_SIZE, 512), (buf + 512, 512), (buf, 512)])
    world.device_writes(transfer, b"1" * 512 + b"2" * 512 + b"3" * 512)
    world.complete(transfer)
    assert parent.load(buf, 3 * 512) == b"3" * 512 + b"2" * 512 + b"I" * 512
    assert parent.load(buf + 2 * PAGE_SIZE, K) == b"1" * 512 + b"I" * 512
    assert world.kinds() == set()


@takes_sectors
def test_a_device_reads_the_pieces_one_after_the_other(policy: str) -> None:
    world, parent, buf = three_pages(policy)
    parent.store(buf, b"a")
    parent.store(buf + PAGE_SIZE, b"b")
    transfer = submit(parent, [(buf + PAGE_SIZE, 512), (buf, 512)], TO)
    assert world.device_reads(transfer, K) == b"b" + b"I" * 511 + b"a" + b"I" * 511
    world.complete(transfer)
    assert world.kinds() == set()


def test_a_write_that_comes_short_leaves_the_last_pieces() -> None:
    world, parent, buf = three_pages()
    transfer = submit(parent, [(buf + PAGE_SIZE, 512), (buf, 512)])
    world.device_writes(transfer, b"D" * 513)
    world.complete(transfer)
    assert parent.load(buf + PAGE_SIZE, 513) == b"D" * 512 + b"I"
    assert parent.load(buf, 2) == b"DI"
    assert [len(event.data) for event in world.log(DeviceWrote)] == [512, 1]


def test_a_write_may_begin_in_any_piece() -> None:
    world, parent, buf = three_pages()
    transfer = submit(parent, [(buf, 512), (buf + PAGE_SIZE, 512)])
    world.device_writes(transfer, b"DD", start=511)
    assert parent.load(buf + 510, 3) == b"IDI"
    assert parent.load(buf + PAGE_SIZE, 2) == b"DI"
    with pytest.raises(ValueError, match="not inside 1024 bytes"):
        world.device_writes(transfer, b"DD", start=1023)


def test_pieces_that_overlap_hold_what_came_last() -> None:
    world, parent, buf = three_pages()
    transfer = submit(parent, [(buf, K), (buf + 512, K)])
    world.device_writes(transfer, b"1" * K + b"2" * K)
    world.complete(transfer)
    assert parent.load(buf, 2 * K) == b"1" * 512 + b"2" * K + b"I" * 512


# Refusals ---------------------------------------------------------------------------------------


@takes_sectors
@pytest.mark.parametrize(
    ("bad", "number"),
    [
        ((3 * PAGE_SIZE, 512), errno.EFAULT),
        ((2 * PAGE_SIZE, PAGE_SIZE + 512), errno.EFAULT),
        ((1, 512), errno.EINVAL),
        ((0, 511), errno.EINVAL),
        ((0, 0), errno.EINVAL),
    ],
)
def test_a_piece_that_is_refused_leaves_nothing_held(
    policy: str, bad: tuple[int, int], number: int
) -> None:
    world, parent, buf = three_pages(policy)
    offset, length = bad
    for iov in ([(buf, 512), (buf + offset, length)], [(buf + offset, length), (buf, 512)]):
        with pytest.raises(Fault) as refused:
            submit(parent, iov)
        assert refused.value.errno == number
        assert world.kernel.io.holds() == {}
        assert world.kernel.io.dma.live == {}
        assert world.log(IoStarted) == []
        world.kernel.check(at_rest=True)


def test_a_piece_that_may_not_be_written_is_refused_to_a_read_alone() -> None:
    world, parent, buf = three_pages()
    parent.mprotect(buf + PAGE_SIZE, PROT_READ)
    iov = [(buf, 512), (buf + PAGE_SIZE, 512)]
    with pytest.raises(Fault) as refused:
        submit(parent, iov)
    assert refused.value.errno == errno.EFAULT
    assert world.device_reads(submit(parent, iov, TO), 2) == b"II"


# What is in use ---------------------------------------------------------------------------------


def test_nothing_is_in_use_at_first_and_after() -> None:
    world, parent, buf = three_pages()
    io = world.kernel.io
    assert io.in_use(parent.mm) == (set(), set())
    world.complete(submit(parent, [(buf, 512)]))
    assert io.in_use(parent.mm) == (set(), set())


def test_frames_and_pages_of_all_pieces_are_in_use() -> None:
    world, parent, buf = three_pages()
    submit(parent, [(buf + 512, 512), (buf + 2 * PAGE_SIZE + K, 512)])
    assert world.kernel.io.in_use(parent.mm) == (
        set(pfns(parent, buf, buf + 2 * PAGE_SIZE)),
        {buf, buf + 2 * PAGE_SIZE},
    )


def test_frames_are_in_use_by_anybody_and_pages_in_ones_own_memory() -> None:
    world, parent, buf = one_page("linux-2.6.29")
    child = parent.fork()
    submit(parent, [(buf, 512)], TO)
    frame = parent.pte(buf).pfn
    assert world.kernel.io.in_use(parent.mm) == ({frame}, {buf})
    assert world.kernel.io.in_use(child.mm) == ({frame}, set())


def test_a_page_is_in_use_although_its_frame_is_another_now() -> None:
    """What a device holds and what the holder shows there can be two frames."""
    world, parent, buf = one_page("linux-2.6.29")
    submit(parent, [(buf, 512)])
    held = parent.pte(buf).pfn
    parent.fork()
    parent.store(buf, b"W")
    assert parent.pte(buf).pfn != held
    assert world.kernel.io.in_use(parent.mm) == ({held}, {buf})


def test_a_buffer_that_moves_is_in_use_where_it_went() -> None:
    world, parent, buf = three_pages()
    transfer = submit(parent, [(buf, 512), (buf + 2 * PAGE_SIZE, 512)])
    kernel = world.kernel
    moved = run(kernel.mremap(parent.cpu, parent.mm, buf, 3 * PAGE_SIZE, 4 * PAGE_SIZE))
    assert moved != buf
    first, last = pfns(parent, moved, moved + 2 * PAGE_SIZE)
    assert kernel.io.pages_of(transfer) == {first: {moved}, last: {moved + 2 * PAGE_SIZE}}
    assert kernel.io.in_use(parent.mm)[1] == {moved, moved + 2 * PAGE_SIZE}


def test_each_io_is_for_its_own_pages() -> None:
    world, parent, buf = three_pages()
    one = submit(parent, [(buf, 512), (buf + PAGE_SIZE, 512)])
    two = submit(parent, [(buf + PAGE_SIZE + 512, 512)])
    io = world.kernel.io
    first, second = pfns(parent, buf, buf + PAGE_SIZE)
    assert io.pages_of(one) == {first: {buf}, second: {buf + PAGE_SIZE}}
    assert io.pages_of(two) == {second: {buf + PAGE_SIZE}}
    world.complete(one)
    assert io.in_use(parent.mm)[1] == {buf + PAGE_SIZE}


# What the oracle says ---------------------------------------------------------------------------


def lost_read(iov: Sequence[int], stored: int, policy: str = "linux-2.6.29") -> TinyWorld:
    """A read into a kilobyte at each offset, a fork, a store at an offset, the end."""
    world, parent, buf = three_pages(policy)
    transfer = submit(parent, [(buf + offset, K) for offset in iov])
    parent.fork()
    parent.store(buf + stored, b"W")
    world.device_writes(transfer, b"D" * K * len(iov))
    world.complete(transfer)
    return world


def test_a_loss_is_found_in_the_piece_that_lost() -> None:
    world = lost_read([0, 2 * PAGE_SIZE], stored=2 * PAGE_SIZE + 2 * K)
    (lost,) = [each for each in world.oracle.violations if each.kind == "lost-dma-write"]
    assert (lost.address % PAGE_SIZE, lost.length) == (0, K)
    assert lost.pfn == 2


def test_a_store_to_a_page_without_a_piece_loses_nothing() -> None:
    assert "lost-dma-write" not in lost_read([0, 2 * PAGE_SIZE], stored=PAGE_SIZE).kinds()


def test_two_pieces_of_one_page_are_lost_together() -> None:
    world = lost_read([0, 2 * K], stored=3 * K)
    (lost, *more) = [each for each in world.oracle.violations if each.kind == "lost-dma-write"]
    assert (lost.length, more) == (K, [])
    assert "lost-dma-write" not in lost_read([0, 2 * K], 3 * K, "linux-6.5").kinds()
