"""What is remembered of stores: the last to each byte, of the last pages stored to."""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.oracle.stores import PAGES, STORES, LastStores

BASE = 0x10000


def test_what_was_stored_last_is_not_missing() -> None:
    stores = LastStores()
    stores.stored(0, BASE, b"old")
    stores.stored(0, BASE + 1, b"new")
    assert stores.missing(0, BASE, b"onew") == []
    assert stores.missing(0, BASE, b"oldw") == [BASE + 1, BASE + 2]


def test_a_missing_store_is_said_once() -> None:
    stores = LastStores()
    stores.stored(0, BASE, b"x")
    assert stores.missing(0, BASE, b"I") == [BASE]
    assert stores.missing(0, BASE, b"I") == []


def test_bytes_nobody_stored_are_not_missing() -> None:
    stores = LastStores()
    stores.stored(0, BASE + 8, b"x")
    assert stores.missing(0, BASE, b"abcdefghx") == []


def test_the_pages_stored_to_longest_ago_are_forgotten() -> None:
    stores = LastStores()
    for i in range(PAGES + 1):
        stores.stored(0, BASE + i * PAGE_SIZE, b"x")
    assert stores.missing(0, BASE, b"I") == []
    assert stores.missing(0, BASE + PAGE_SIZE, b"I") == [BASE + PAGE_SIZE]


def test_what_somebody_else_wrote_over_a_store_may_be_anything() -> None:
    stores = LastStores()
    stores.stored(0, BASE, b"abcd")
    stores.overwritten(0, BASE + 1, 2)
    assert stores.missing(0, BASE, b"a??d") == []
    assert stores.missing(0, BASE, b"a??e") == [BASE + 3]


def test_a_later_store_counts_where_somebody_else_wrote() -> None:
    stores = LastStores()
    stores.overwritten(0, BASE, 4)
    stores.stored(0, BASE, b"abcd")
    stores.overwritten(0, BASE, 4)
    stores.stored(0, BASE + 1, b"x")
    assert stores.missing(0, BASE, b"??x?") == [BASE + 1]


def test_the_oldest_of_too_many_stores_are_not_missed() -> None:
    stores = LastStores()
    for i in range(STORES + 1):
        stores.stored(0, BASE + 2 * i, b"x")
    assert stores.missing(0, BASE, b"I") == []
    assert stores.missing(0, BASE + 2, b"I") == [BASE + 2]
