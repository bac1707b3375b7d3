"""Control areas: slots that are taken and given back, memory that is used again."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.live.processes import own_resources
from uemu.abi import PAGE_SIZE
from uemu.errors import HostError
from uemu.host import native
from uemu.live.area import AREA_BASE, Area, Areas

pytestmark = pytest.mark.needs_memfd


@pytest.fixture
def areas() -> Iterator[Areas]:
    """The areas of a machine with nobody on it."""
    areas = Areas()
    yield areas
    areas.close()


@pytest.fixture
def area(areas: Areas) -> Iterator[Area]:
    """One process's area."""
    area = areas.open()
    yield area
    area.close()


def test_slots_are_taken_in_order(area: Area) -> None:
    slots = [area.take() for _ in range(3)]
    assert [slot.index for slot in slots] == [0, 1, 2]
    assert [slot.code for slot in slots] == [AREA_BASE + i * PAGE_SIZE for i in range(3)]


def test_a_slot_given_back_is_the_next_one_taken(area: Area) -> None:
    slots = [area.take() for _ in range(3)]
    area.give_back(slots[1])
    assert area.take().index == 1
    assert area.take().index == 3


def test_a_child_takes_the_slot_its_parent_stood_in(area: Area) -> None:
    assert area.take(5).index == 5
    assert area.take().index == 0


def test_a_process_has_64_slots(area: Area) -> None:
    for _ in range(64):
        area.take()
    with pytest.raises(HostError, match="one more thread in a puppet: 64 are the most"):
        area.take()


def test_a_slot_is_what_the_code_in_it_reads(area: Area, areas: Areas) -> None:
    slot = area.take()
    slot.struct.addr = 0x1234
    slot.put(b"bytes on their way")
    assert slot.get(5) == b"bytes"
    raw = os.pread(areas.fd, native.AREA_SIZE, area.offset)
    assert raw[native.SLOT_AT + 16 : native.SLOT_AT + 24] == (0x1234).to_bytes(8, "little")
    assert raw[native.BUFFER_AT :].startswith(b"bytes on their way")


def test_calls_are_queued_and_their_results_read(area: Area) -> None:
    slot = area.take()
    slot.queue([(9, 1, 2, 3, 4, 5, 6), (11, 7, 8, 0, 0, 0, 0)])
    assert slot.struct.count == 2
    assert (slot.struct.calls[0].nr, list(slot.struct.calls[0].args)) == (9, [1, 2, 3, 4, 5, 6])
    assert (slot.struct.calls[1].nr, list(slot.struct.calls[1].args)[:2]) == (11, [7, 8])
    slot.struct.calls[1].ret = -12
    assert slot.result(1) == -12


def test_nothing_is_left_in_a_slot_of_who_had_it_before(areas: Areas) -> None:
    # Somebody died in the middle of its calls.
    area = areas.open()
    area.take().queue([(11, 0, 0, 0, 0, 0, 0)] * 3)
    areas.close_area(area)
    again = areas.open()
    assert again.offset == area.offset
    assert again.take().struct.count == 0
    areas.close_area(again)


def test_areas_do_not_overlap_and_are_used_again(areas: Areas) -> None:
    first, second = areas.open(), areas.open()
    assert abs(first.offset - second.offset) >= native.AREA_SIZE
    offsets = {first.offset, second.offset}
    areas.close_area(first)
    areas.close_area(second)
    third, fourth = areas.open(), areas.open()
    assert {third.offset, fourth.offset} == offsets
    areas.close_area(third)
    areas.close_area(fourth)


def test_closing_leaves_no_memory_and_no_descriptor() -> None:
    before = own_resources()
    areas = Areas()
    for _ in range(3):
        area = areas.open()
        area.take()
        area.take()
        areas.close_area(area)
    areas.close()
    assert own_resources() == before
    with open("/proc/self/maps") as maps:
        assert "memfd:uemu-control" not in maps.read()
