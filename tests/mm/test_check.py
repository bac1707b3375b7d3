"""The invariants hold in healthy worlds and fire in broken ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.common import DIRECT_READS_RETURN, Process, TinyWorld, one_page, two_mms
from uemu.errors import InvariantError
from uemu.mm.pte import Pte
from uemu.step import RecordingCpu


@pytest.mark.parametrize(
    "policy", [name for name in DIRECT_READS_RETURN if name != "piggin-2009-vma"]
)  # which leaks
def test_a_healthy_world_passes_at_every_turn(policy: str) -> None:
    world, parent, child, buf = two_mms(policy)
    world.kernel.check(at_rest=True)
    read = parent.read_disk(buf)
    registered = child.register(buf)
    world.kernel.check(at_rest=True)
    parent.store(buf, b"P")
    child.store(buf, b"C")
    world.kernel.check(at_rest=True)
    world.complete(read)
    child.exit()
    world.kernel.check(at_rest=True)
    world.release(registered)
    parent.exit()
    world.kernel.check(at_rest=True)
    assert [page for page in world.kernel.mech.pages.values() if not page.reserved] == []


def _one_reference_less(world: TinyWorld, parent: Process, buf: int) -> None:
    parent.page(buf).refcount.value -= 1


def _freed_under_a_pte(world: TinyWorld, parent: Process, buf: int) -> None:
    del world.kernel.mech.pages[parent.pte(buf).pfn]


def _outside_any_vma(world: TinyWorld, parent: Process, buf: int) -> None:
    parent.mm.remove_vma(parent.mm.vmas[0])


def _zero_page_writable(world: TinyWorld, parent: Process, buf: int) -> None:
    page = parent.page(buf)
    page.reserved = True


def _device_reference_forgotten(world: TinyWorld, parent: Process, buf: int) -> None:
    parent.read_disk(buf)
    parent.page(buf).refcount.value -= 1


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (_one_reference_less, "refcount-leak"),
        (_freed_under_a_pte, "pinned-page-freed"),
        (_outside_any_vma, "refcount-leak"),
        (_zero_page_writable, "refcount-leak"),
        (_device_reference_forgotten, "refcount-leak"),
    ],
)
@pytest.mark.parametrize("at_rest", [True, False])
def test_damage_is_found_whoever_is_running(
    damage: Callable[[TinyWorld, Process, int], None], kind: str, at_rest: bool
) -> None:
    world, parent, buf = one_page()
    world.kernel.check(at_rest=at_rest)
    damage(world, parent, buf)
    with pytest.raises(InvariantError) as caught:
        world.kernel.check(at_rest=at_rest)
    assert caught.value.kind == kind


def test_a_reference_in_transit_is_a_leak_only_at_rest() -> None:
    world, parent, buf = one_page()
    parent.page(buf).refcount.value += 1
    world.kernel.check(at_rest=False)
    with pytest.raises(InvariantError, match="refcount-leak"):
        world.kernel.check(at_rest=True)


def test_mapcount_is_compared_only_at_rest() -> None:
    world, parent, buf = one_page()
    parent.page(buf).mapcount.value = 2
    world.kernel.check(at_rest=False)
    with pytest.raises(InvariantError, match="mapped by 1"):
        world.kernel.check(at_rest=True)


def test_the_message_names_the_page() -> None:
    world, parent, buf = one_page()
    parent.page(buf).refcount.value = 3
    with pytest.raises(InvariantError, match="pfn 0 3/1"):
        world.kernel.check(at_rest=True)


def test_an_entry_for_a_frame_that_never_was_is_found() -> None:
    world, parent, buf = one_page()
    parent.mm.pte(buf).value = Pte(99, False)
    with pytest.raises(InvariantError, match="maps freed pfn 99"):
        world.kernel.check(at_rest=False)


def test_who_gives_back_what_somebody_else_took_is_caught_at_once() -> None:
    """The sum is right, and it is wrong nevertheless: who gives back may come first."""
    world, parent, buf = one_page()
    mech, one, two = world.kernel.mech, RecordingCpu("one"), RecordingCpu("two")
    mech.get_page(one, parent.page(buf))
    world.kernel.check(at_rest=False)
    mech.put_page(two, parent.page(buf))
    with pytest.raises(InvariantError, match=r"refcount-leak: two gave 1 references .* too many"):
        world.kernel.check(at_rest=False)
