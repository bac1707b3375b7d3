"""What memory was before it was framed, and what that is called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from tests.report.program_runs import LOST
from uemu.live.program.origins import MOST, Origin, Origins
from uemu.live.program.owners import with_owner
from uemu.live.program.stacks import RSP, Moment
from uemu.oracle.held import HeldBuffer

HEAP = Origin(0x10000, 0x40000, "[heap]")


def test_what_frames_left_of_a_mapping_is_a_part_of_it() -> None:
    origins = Origins()
    origins.note(HEAP)
    origins.note(Origin(0x12000, 0x40000, "[heap]"))
    assert origins.find(0x13000) == origins.find(0x10000) == HEAP
    assert origins.find(0x40000) is None


def test_what_was_mapped_later_counts() -> None:
    origins = Origins([HEAP])
    file = Origin(0x12000, 0x14000, "/lib/x")
    origins.note(file)
    assert origins.find(0x12000) == file
    assert origins.find(0x14000) == HEAP


def test_a_childs_are_its_own_from_then_on() -> None:
    parent = Origins([HEAP])
    child = parent.copy()
    child.note(Origin(0x90000, 0x91000, ""))
    assert child.find(0x90000) is not None
    assert parent.find(0x90000) is None


def test_a_program_that_maps_for_ever_is_not_remembered_for_ever() -> None:
    origins = Origins()
    for number in range(2 * MOST):
        origins.note(Origin(number << 16, (number << 16) + 4096, ""))
    assert origins.find(0) is None
    assert origins.find((2 * MOST - 1) << 16) is not None


RSP_AT = 0x70000000


@pytest.mark.parametrize(
    ("origin", "memory", "words"),
    [
        (HEAP, "heap", "in the heap, 196608 bytes at 0x10000; which block"),
        (Origin(0x10000, 0x40000, "[stack]"), "stack", "stack of the first thread"),
        (Origin(0x10000, RSP_AT + 1, ""), "stack", "stack of the thread that made the call"),
        (Origin(0x10000, 0x40000, "/var/lib/data"), "file", "a private mapping of data, "),
        (Origin(0x11000, 0x12000, ""), "anonymous", "an anonymous mapping of its own"),
        (Origin(0x10000, 0x40000, ""), "anonymous", "in anonymous memory, 196608 bytes"),
        (Origin(0x90000, 0x91000, ""), "", ""),
    ],
)
def test_what_it_is_called(origin: Origin, memory: str, words: str) -> None:
    registers = tuple(RSP_AT if i == RSP else 0 for i in range(17))
    moment = Moment(registers, b"", cast(Any, None), Origins([origin]))
    story = (replace(LOST.story[0], moment=moment), *LOST.story[1:])
    held = HeldBuffer(0x11000, 0x11A00, "o_direct", False, False)
    buffer = with_owner(replace(LOST, story=story, buffer=held)).buffer
    assert buffer is not None
    assert buffer.memory == memory
    assert words in buffer.owner
    named = with_owner(replace(LOST, story=story, buffer=held), lambda _m, _a: "table").buffer
    assert named is not None
    assert named.owner == "the variable table"
    assert with_owner(replace(LOST, buffer=held)).buffer == held, "nobody saw it"
