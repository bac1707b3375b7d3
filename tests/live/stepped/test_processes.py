"""One process for each address space, one for each CPU: born of the right one, and ended."""

from __future__ import annotations

import pytest

from tests.live.processes import frames_mapped_by, parent_of, state
from tests.live.stepped.conftest import Bench
from uemu.errors import HostError, ProcessDied
from uemu.host import native
from uemu.live import newborn
from uemu.mm.mm_struct import MmStruct
from uemu.mm.pte import Pte
from uemu.step import Cpu

pytestmark = pytest.mark.needs_ptrace


def forked(bench: Bench) -> MmStruct:
    """A child that the thread on the first CPU forks."""
    child = MmStruct(1, "child")
    child.next_addr = bench.mm.next_addr
    bench.call(lambda: bench.hardware.begin(child, bench.one))
    return child


def test_who_took_part_is_who_really_forked_whom(bench: Bench) -> None:
    forked(bench)
    part = bench.hardware.processes.took_part
    assert [(each.space, each.cpu) for each in part] == [
        ("parent", ""),
        ("parent", "one"),
        ("parent", "two"),
        ("child", ""),
    ]
    parent, one, two, child = (each.pid for each in part)
    assert [each.parent for each in part] == [0, parent, parent, one]
    assert [parent_of(pid) for pid in (one, two, child)] == [parent, parent, one]
    assert len({parent, one, two, child}) == 4


def test_a_child_begins_without_its_parents_translations(bench: Bench) -> None:
    bench.set(bench.pfns[0])
    bench.call(lambda: bench.hardware.cpus.store(bench.one, bench.mm, bench.base, b"x"))
    assert frames_mapped_by(bench.thread(bench.one).process.pid) == 1
    child = forked(bench)
    assert frames_mapped_by(bench.hardware.processes.of_space(child).process.pid) == 0


def test_a_cpu_begins_without_what_the_looker_looked_at(bench: Bench) -> None:
    pte = Pte(bench.pfns[0], True)
    bench.call(lambda: bench.hardware.cpus.look(bench.mm, bench.base, pte, 1))
    looker = bench.hardware.processes.of_space(bench.mm)
    assert frames_mapped_by(looker.process.pid) == 1
    late = Cpu("late")
    bench.run_on(late)
    assert frames_mapped_by(bench.thread(late).process.pid) == 0


def test_an_address_space_that_ends_takes_its_processes_and_no_others(bench: Bench) -> None:
    child = forked(bench)
    cpu = Cpu("child")
    bench.call(lambda: bench.hardware.run_on(cpu, child))
    pids = [each.pid for each in bench.hardware.processes.took_part]
    bench.call(lambda: bench.hardware.mmu.mm_gone(child.id))
    assert [state(pid) for pid in pids] == ["t", "t", "t", None, None]
    assert bench.hardware.mmu.cpus_of(child.id) == ()
    bench.call(lambda: bench.hardware.mmu.mm_gone(bench.mm.id))
    assert [state(pid) for pid in pids] == [None] * 5


def test_a_process_waits_for_its_children_so_that_none_is_left_a_zombie(bench: Bench) -> None:
    child = forked(bench)
    pids = [each.pid for each in bench.hardware.processes.took_part]
    bench.call(lambda: bench.hardware.mmu.mm_gone(bench.mm.id))
    assert [state(pid) for pid in pids] == ["t", "t", None, "t"]
    bench.call(lambda: bench.hardware.mmu.mm_gone(child.id))
    assert [state(pid) for pid in pids] == [None] * 4


def test_a_real_fork_that_fails_is_no_value_of_the_experiment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newborn, "SYS_FORK", 100_000)
    with pytest.raises(HostError, match="fork a puppet: ENOSYS"):
        forked(bench)
    monkeypatch.undo()
    forked(bench)


def test_who_is_gone_is_asked_nothing_any_more(bench: Bench) -> None:
    first, second = (bench.thread(cpu).process for cpu in (bench.one, bench.two))
    native.kill(first.pid)
    with pytest.raises(ProcessDied, match=f"{first.pid} was killed by SIGKILL during a load"):
        bench.call(lambda: bench.hardware.cpus.load(bench.one, bench.mm, bench.base, 1))
    with pytest.raises(ProcessDied, match=f"{first.pid} .* during an earlier step"):
        bench.call(lambda: bench.hardware.cpus.load(bench.one, bench.mm, bench.base, 1))
    with pytest.raises(ProcessDied, match=f"{first.pid} .* during an earlier step"):
        forked(bench)
    bench.call(lambda: bench.hardware.cpus.load(bench.two, bench.mm, bench.base, 1))
    assert state(second.pid) == "t"
