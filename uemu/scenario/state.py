"""How a page looks in the state column of a drawing."""

from __future__ import annotations

from uemu.abi import GUP_PIN_COUNTING_BIAS
from uemu.mm.page import Page

FLAG_LETTERS = {"PG_anon_exclusive": "e", "PG_gup": "g", "PG_dontcow": "d"}
"""The page flags that are shown, each by one letter."""


def counts_of(page: Page | None) -> str:
    """``2+p/1e``: two references and a pin, one PTE, exclusive; ``~``: it is its head's."""
    if page is None:
        return "-"
    if page.reserved:
        return "zero"
    if page.hugetlb and page.head is not page:
        return "~"
    if page.pincount is not None:
        pins = page.pincount.peek()
        rest = page.refcount.peek() - pins
    else:
        pins, rest = divmod(page.refcount.peek(), GUP_PIN_COUNTING_BIAS)
    pinned = "" if pins == 0 else "+p" if pins == 1 else f"+{pins}p"
    flags = "".join(FLAG_LETTERS.get(flag, "") for flag in page.flags_set())
    return f"{rest}{pinned}/{page.mapcount.peek()}{flags}"
