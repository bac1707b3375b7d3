"""What scale scenarios cost by the page: copies above all, under every policy.

The figures were worked out from the rules before they were measured. Where a
policy is not named, a page costs what the scenario's comment says.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from uemu.abi import PAGE_SIZE
from uemu.matrix.growth import Line, growth_of
from uemu.mm.page import Page
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.registry import POLICIES, all_names
from uemu.scenario.registry import SCENARIOS
from uemu.step import Cpu, Op, Step

FORTY_MIB = 40 * 1024 * 1024 // PAGE_SIZE

NONE = Line(0, 0)
ONE = Line(1, 0)
ONE_EACH = Line(0, 1)
TWO_EACH = Line(0, 2)

SCALED = [name for name, scenario in SCENARIOS.items() if scenario.sizes is not None]

DECOWS_TO_READ = {
    # follow_page and decow in get_user_pages, for a read as for a write.
    "arcangeli-2009-v2", "arcangeli-2009-v2:nomb",
    "piggin-2009-page", "piggin-2009-page:first",
    # make_vma_nocow().
    "piggin-2009-vma", "piggin-2009-vma:wrprotect",
    # gup-fast takes writable entries only, and its slow path decows: claim C21.
    "kosaki-2009-pinned-sem",
    # should_force_cow_break().
    "linux-5.8",
    # O_DIRECT pins, and a pin of what is not exclusive unshares it.
    "linux-6.5",
}  # fmt: skip
"""Whose read gup gives the caller a copy of a page that is shared."""

COPIES_WHAT_IS_HELD = {
    "redhat-2.6.18",
    "arcangeli-2009-v1", "arcangeli-2009-v1:norecheck", "arcangeli-2009-v1:nomb",
    "arcangeli-2009-v2", "arcangeli-2009-v2:norecheck", "arcangeli-2009-v2:nomb",
    "piggin-2009-page", "piggin-2009-page:first",
    "torvalds-2009-fork-lock:lookup",
    "linux-6.5",
}  # fmt: skip
"""Whose fork copies a page that a device reads, and no other."""

COPIES_THE_AREA = {"piggin-2009-vma", "piggin-2009-vma:wrprotect"}
"""Whose fork copies whatever lies in the same area: claim C11."""


@pytest.mark.parametrize("policy", all_names())
def test_a_snapshot_written_out(policy: str) -> None:
    """Nobody stores, so a page costs nothing, unless gup breaks COW to read it."""
    growth = growth_of(SCENARIOS["snapshot-writeout-cost"], policy)
    assert growth["cow_copies"] == (ONE_EACH if policy in DECOWS_TO_READ else NONE)
    assert growth["fork_copies"] == growth["faults"] == NONE
    frames = TWO_EACH if policy in DECOWS_TO_READ else ONE_EACH
    assert growth["peak_frames"] == frames


@pytest.mark.parametrize("policy", all_names())
def test_one_page_held_in_a_big_area(policy: str) -> None:
    """The others cost nothing, unless the area is what is protected."""
    growth = growth_of(SCENARIOS["big-vma-cost"], policy)
    if policy in COPIES_THE_AREA:
        assert growth["fork_copies"] == ONE_EACH
        assert growth["peak_frames"] == TWO_EACH
    elif not policy.startswith("hildenbrand-2021"):  # whether a get counts is theirs to say
        assert growth["fork_copies"] == (ONE if policy in COPIES_WHAT_IS_HELD else NONE)
    assert growth["fork_copies"].at(2**18) in (0, 1, 2**18), "the 1 GiB of the mail"
    assert growth["cow_copies"] == growth["faults"] == NONE


COPIES_FOR_BOTH = {
    # The reference keeps both from reusing the page: each stores into a copy.
    "linux-2.4-dio-pglock", "linux-2.6.7", "torvalds-2009-page-count", "kosaki-2009-dont-unmap",
    "linux-5.9", "linux-5.11", "linux-5.19", "hubbard-2021-locked-pages",
    "kara-2021-unmap-if-not-pinned", "hildenbrand-2021-model1", "hildenbrand-2021-model2",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
def test_forkscrewreverse_at_40_mib(policy: str) -> None:
    """Parent and child part, so a page costs a copy, in gup or in a write fault."""
    growth = growth_of(SCENARIOS["forkscrewreverse"], policy)
    copies = growth["cow_copies"].at(FORTY_MIB) + growth["fork_copies"].at(FORTY_MIB)
    assert copies == (2 if policy in COPIES_FOR_BOTH else 1) * FORTY_MIB


@pytest.mark.parametrize("name", SCALED)
def test_a_scale_scenario_is_told_at_its_first_size(name: str) -> None:
    scenario = SCENARIOS[name]
    assert scenario.at is not None
    assert scenario.sizes is not None
    small, large = scenario.sizes
    assert str(scenario.at(small)) == str(scenario)
    assert scenario.at(large).name == name
    assert large - small == 64


def test_what_comes_by_the_call_grows_by_the_part_of_it() -> None:
    """A read gup-fast of v2 gives up at the first page of each call of 64."""
    growth = growth_of(SCENARIOS["snapshot-writeout-cost"], "arcangeli-2009-v2")
    assert growth["gup_fast_barriers"].per_page == Fraction(1, 64)


def test_the_first_call_may_be_another_than_the_rest() -> None:
    """The first makes the area's pages its own, behind a slow gup; gup-fast takes the rest."""
    growth = growth_of(SCENARIOS["snapshot-writeout-cost"], "piggin-2009-vma")
    assert growth["gup_fast_atomics"] == Line(-64, 1)


class EveryPageSeesTheOthers(Linux2_6_29):
    """fork looks at all pages for each page, by a copy: no line."""

    def copy_present_pte(self, cpu: Cpu, src: object, *rest: object) -> Op[None]:
        for page in list(self.mech.pages.values()):
            yield Step("copy_one_pte", "and its neighbours")
            self._count(cpu, page)
        yield from super().copy_present_pte(cpu, src, *rest)  # type: ignore[arg-type]

    def _count(self, cpu: Cpu, page: Page) -> None:
        copy = self.mech.alloc_page(cpu, 0)
        self.mech.copy_page(cpu, next(iter(self.mech.mms.values())), 0, copy, page, "copy_one_pte")
        self.mech.put_page(cpu, copy)


def test_what_does_not_grow_by_the_page_is_refused() -> None:
    small = replace(SCENARIOS["big-vma-cost"], sizes=(2, 4))
    with pytest.raises(ValueError, match="fork_copies does not grow by the page: 16, 36, 64"):
        growth_of(small, EveryPageSeesTheOthers())


def test_a_scenario_of_one_size_has_no_growth() -> None:
    with pytest.raises(ValueError, match="lost-read has one size"):
        growth_of(SCENARIOS["lost-read"], "linux-2.6.29")
