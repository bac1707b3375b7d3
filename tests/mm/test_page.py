"""The page record: counts, flags, the page lock."""

from __future__ import annotations

from uemu.abi import GUP_PIN_COUNTING_BIAS
from uemu.mm.page import (
    Page,
    page_count,
    page_mapcount,
    page_maybe_dma_pinned,
    trylock_page,
    unlock_page,
)
from uemu.step import Access, Cpu, RecordingCpu

CPU = Cpu("cpu")


def test_fresh_page_has_one_reference_and_no_mapping() -> None:
    page = Page(7)
    assert (page_count(CPU, page), page_mapcount(CPU, page)) == (1, 0)
    assert page.flags_set() == ()
    assert page.anon


def test_reserved_page_is_not_anonymous() -> None:
    assert not Page(7, reserved=True).anon


def test_page_may_be_pinned_from_1024_references_on() -> None:
    page = Page(7)
    page.refcount.value = GUP_PIN_COUNTING_BIAS - 1
    assert not page_maybe_dma_pinned(CPU, page)
    page.refcount.value = GUP_PIN_COUNTING_BIAS
    assert page_maybe_dma_pinned(CPU, page)


def test_trylock_fails_until_unlock() -> None:
    page = Page(7)
    assert trylock_page(CPU, page)
    assert not trylock_page(CPU, page)
    assert page.flags_set() == ("PG_locked",)
    unlock_page(CPU, page)
    assert trylock_page(CPU, page)


def test_a_policys_flag_is_clear_at_first_and_then_the_same_cell() -> None:
    page = Page(7)
    assert not page.flag("PG_gup").peek()
    CPU.write(page.flag("PG_gup"), True)
    assert page.flags_set() == ("PG_gup",)
    assert page.flag("PG_gup").name == ("PG_gup", 7)


def test_flags_are_listed_in_a_fixed_order() -> None:
    page = Page(7)
    for name in ("PG_zebra", "PG_gup"):
        page.flag(name).value = True
    page.anon_exclusive.value = True
    assert page.flags_set() == ("PG_anon_exclusive", "PG_gup", "PG_zebra")


def test_counts_are_read_through_the_cpu() -> None:
    page, cpu = Page(7), RecordingCpu("cpu")
    page_count(cpu, page)
    page_maybe_dma_pinned(cpu, page)
    page_mapcount(cpu, page)
    assert cpu.take_accesses() == Access(frozenset({("refcount", 7), ("mapcount", 7)}))


def test_trylock_is_a_write_even_when_it_fails() -> None:
    page, cpu = Page(7), RecordingCpu("cpu")
    page.locked.value = True
    assert not trylock_page(cpu, page)
    assert cpu.take_accesses()[1] == {("PG_locked", 7)}
