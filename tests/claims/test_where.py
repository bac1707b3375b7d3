from __future__ import annotations

import pickle

from uemu.claims.where import Where
from uemu.explore import Schedule, explore, replay


def test_a_world_is_what_was_asked_for() -> None:
    world = Where("lost-read", "arcangeli-2009-v1:nomb", ipi_wait=False, memory_model="tso")()
    assert world.scenario.name == "lost-read"
    assert world.kernel.hooks.variant == "nomb"
    assert not world.kernel.mech.ipi_waits_for_gup_fast
    assert any("stores" in task.name for task in world.tasks())


def test_the_words_and_the_command_name_what_is_not_usual() -> None:
    where = Where("lost-read", "linux-2.6.29")
    assert str(where) == "lost-read under linux-2.6.29"
    other = Where("lost-read", "linux-5.9", ipi_wait=False, memory_model="tso")
    assert str(other) == (
        "lost-read under linux-5.9, with a flush that does not wait, under x86-TSO"
    )
    assert other.replay_command("uemu1:0") == (
        "uemu replay lost-read --policy linux-5.9 --no-ipi-wait --memory-model tso uemu1:0"
    )


def test_it_goes_to_another_process() -> None:
    where = Where("lost-read", "linux-2.6.29", watch="leavers")
    assert pickle.loads(pickle.dumps(where)) == where


def test_a_watch_adds_what_it_saw_and_changes_no_step() -> None:
    plain = Where("reverse-race", "linux-2.6.29")
    watched = Where("reverse-race", "linux-2.6.29", watch="reuses")
    one, other = explore(plain), explore(watched)
    assert set(other.verdicts) - set(one.verdicts) == {"unsafe-reuse"}
    schedule = Schedule(other.verdicts["unsafe-reuse"].schedule)
    labels = [
        [
            (record.task_name, record.step, record.state)
            for record in replay(world, schedule).records
        ]
        for world in (plain, watched)
    ]
    assert labels[0] == labels[1]


def test_a_rule_that_is_known_to_break_need_not_end_a_run() -> None:
    torn, leak = "torn-fork-copy", "refcount-leak"
    plain = Where("fork-copy-tearing", "piggin-2009-vma")
    aside = Where("fork-copy-tearing", "piggin-2009-vma", past=leak)
    assert set(explore(plain).verdicts) == {leak}
    assert torn in explore(aside).verdicts
    assert leak not in explore(aside).verdicts
    assert str(aside) == f"{plain}, its {leak} aside"
    other = Where("fork-copy-tearing", "piggin-2009-vma", past="livelock")
    assert set(explore(other).verdicts) == {leak}
