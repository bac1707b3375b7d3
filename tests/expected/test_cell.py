"""How expectations are written: for some policies as in another scenario."""

from __future__ import annotations

import pytest

from uemu.expected.cell import as_in, expect

OTHER = (expect("a b", "torn-fork-copy", "one"), expect("c", "", "two"), expect("d", "", "three"))


def test_a_policy_shows_what_it_shows_there_for_the_same_reason() -> None:
    assert as_in(OTHER, "b c") == (expect("b", "torn-fork-copy", "one"), expect("c", "", "two"))


def test_a_policy_that_is_not_named_there_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="the other scenario does not name e, f"):
        as_in(OTHER, "a f e")
