"""Page table entries as values."""

from __future__ import annotations

import pytest

from uemu.mm.pte import Pte, SwapEntry


@pytest.mark.parametrize("dirty", [False, True])
def test_wrprotect_and_mkwrite_change_the_write_bit_alone(dirty: bool) -> None:
    pte = Pte(3, True, dirty)
    assert pte.wrprotect() == Pte(3, False, dirty)
    assert pte.wrprotect().mkwrite() == pte


def test_wrprotect_of_a_read_only_entry_is_the_same_entry() -> None:
    assert Pte(3, False).wrprotect() == Pte(3, False)


def test_entries_compare_by_value() -> None:
    assert Pte(3, False) != Pte(3, True)
    assert Pte(3, False, True) != Pte(3, False, False)


def test_swap_entry_is_no_present_entry() -> None:
    assert not isinstance(SwapEntry(3), Pte)
