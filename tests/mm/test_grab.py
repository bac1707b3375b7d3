"""References of get_user_pages: taken, given back, counted."""

from __future__ import annotations

import pytest

from tests.common import TinyWorld, one_page
from tests.mm.test_compound import huge_page
from uemu.abi import GUP_PIN_COUNTING_BIAS, PAGE_SIZE, Foll
from uemu.errors import InvariantError
from uemu.mm.grab import gup_grab, gup_release
from uemu.mm.page import page_count, page_maybe_dma_pinned
from uemu.scenario.actions import HPAGE_NR
from uemu.step import RecordingCpu


def test_a_get_adds_one_and_a_pin_1024() -> None:
    world, parent, buf = one_page()
    mech, page = world.kernel.mech, parent.page(buf)
    gup_grab(mech, world.device, page, Foll.GET)
    assert page.refcount.peek() == 2
    gup_grab(mech, world.device, page, Foll.PIN)
    assert page.refcount.peek() == 2 + GUP_PIN_COUNTING_BIAS
    gup_release(mech, world.device, page, Foll.PIN)
    gup_release(mech, world.device, page, Foll.GET)
    assert page.refcount.peek() == 1


def test_pinning_a_free_page_is_caught() -> None:
    world = TinyWorld("linux-6.5")
    page = world.kernel.mech.alloc_page(world.device, 0)
    world.kernel.mech.put_page(world.device, page)
    with pytest.raises(InvariantError, match="pinned-page-freed"):
        gup_grab(world.kernel.mech, world.device, page, Foll.PIN)


def test_pins_of_a_compound_page_are_counted_exactly() -> None:
    """1024 gets are no pin, and a pin adds one reference."""
    world, parent, buf = huge_page("linux-5.9")
    mech, cpu, page = world.kernel.mech, world.device, parent.page(buf)
    mech.get_page(cpu, page, 1024)
    assert not page_maybe_dma_pinned(cpu, page)
    gup_grab(mech, cpu, parent.page(buf + PAGE_SIZE), Foll.PIN)
    assert page_maybe_dma_pinned(cpu, page)
    assert page_count(cpu, page) == 1026
    gup_release(mech, cpu, page, Foll.PIN)
    assert not page_maybe_dma_pinned(cpu, page)


def test_many_pages_of_a_huge_one_are_held_by_one_instruction() -> None:
    world, parent, buf = huge_page("linux-6.5")
    mech, page = world.kernel.mech, parent.page(buf)
    cpu = RecordingCpu("gup")
    gup_grab(mech, cpu, page, Foll.PIN, HPAGE_NR)
    assert cpu.take_accesses().counts == {
        ("refcount", page.pfn),
        ("compound_pincount", page.pfn),
    }
    assert page_count(world.device, page) == 1 + HPAGE_NR
    for i in range(HPAGE_NR):
        assert page_maybe_dma_pinned(world.device, page)
        gup_release(mech, cpu, parent.page(buf + i * PAGE_SIZE), Foll.PIN)
    assert not page_maybe_dma_pinned(world.device, page)
