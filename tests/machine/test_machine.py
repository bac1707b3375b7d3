"""A machine: the library's example, its policies, its records, its end."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

import uemu
from tests.common import FORK_WAITS, SECTOR_POLICIES
from tests.live import no_ptrace
from tests.live.processes import own_resources, state
from uemu.expected.lookup import find_expected
from uemu.host import doctor
from uemu.policy.registry import NEWEST
from uemu.step import Cpu

pytestmark = pytest.mark.needs_ptrace

PAGE = uemu.PAGE_SIZE

EXAMPLE = """\
import uemu

with uemu.Machine(policy="linux-2.6.29") as machine:
    parent = machine.spawn()                          # a real process
    buf = parent.mmap(2 * uemu.PAGE_SIZE)             # private anonymous memory
    parent.store(buf, b"\\x2a" * uemu.PAGE_SIZE)       # a real store instruction
    read = machine.dma.start(parent, buf, 512,
                             direction=uemu.DMA_FROM_DEVICE, api="o_direct")
    child = parent.fork()                             # a real fork()
    parent.store(buf + 1024, b"x")                    # traps; the policy breaks the COW
    read.complete(b"\\xfa" * 512)                      # the device writes its frame
    parent.load(buf, 512)                             # old bytes: the read is lost
    machine.violations                                # [Violation(kind="lost-dma-write", ...)]
"""
"""The library's example as its users see it."""


# The example


def run_example(policy: str) -> tuple[bytes, list[str], list[str | None]]:
    """Run the example as printed, under any policy, and look: (loaded, violations, states)."""
    looking = EXAMPLE.replace("linux-2.6.29", policy)
    looking = looking.replace("    parent.load(", "    loaded = parent.load(")
    looking += "    states = [state(parent.pid), state(child.pid)]\n"
    looking += "states += [state(parent.pid), state(child.pid)]\n"
    names: dict[str, object] = {"state": state}
    exec(looking, names)
    machine, loaded, states = names["machine"], names["loaded"], names["states"]
    assert isinstance(machine, uemu.Machine)
    assert isinstance(loaded, bytes)
    assert isinstance(states, list)
    return loaded, [violation.kind for violation in machine.violations], states


def test_the_example_runs_as_printed() -> None:
    exec(EXAMPLE, {})


def test_the_example_loses_its_read() -> None:
    loaded, kinds, states = run_example("linux-2.6.29")
    assert loaded == b"\x2a" * 512
    assert "lost-dma-write" in kinds
    assert states == ["t", "t", None, None]


WAITS = {**dict.fromkeys(FORK_WAITS, "fork"), "kamezawa-2009-dio-lock": "store"}
"""Where the example waits for its own read, and in which call."""


@pytest.mark.parametrize(("policy", "call"), WAITS.items())
def test_where_a_call_waits_for_the_read_the_example_comes_no_further(
    policy: str, call: str
) -> None:
    with pytest.raises(uemu.Blocked, match=f"^{call} waits: "):
        run_example(policy)


@pytest.mark.parametrize("policy", [name for name in SECTOR_POLICIES if name not in WAITS])
def test_who_loses_the_read(policy: str) -> None:
    loaded, kinds, _ = run_example(policy)
    protects = "lost-dma-write" not in find_expected("lost-read-no-child-write", policy).kinds
    assert loaded == (b"\xfa" if protects else b"\x2a") * 512
    assert ("lost-dma-write" in kinds) is not protects


# Policies


def test_without_a_policy_it_is_the_newest() -> None:
    with uemu.Machine() as machine:
        assert machine.policy == NEWEST == "linux-6.5"


def test_a_variant_is_named_after_a_colon() -> None:
    with uemu.Machine("arcangeli-2009-v2:norecheck") as machine:
        assert machine.policy == "arcangeli-2009-v2:norecheck"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("linux-6.4", "unknown policy 'linux-6.4'; nearest: linux-6.5"),
        ("lunix-2.6.29", "nearest: linux-2.6.29"),
        ("windows", "unknown policy 'windows'; nearest: "),
        ("linux-6.5:nope", "linux-6.5 has no variant 'nope'; it has: none"),
        ("arcangeli-2009-v2:nope", "it has: norecheck, nomb"),
    ],
)
def test_an_unknown_policy_names_the_nearest_and_leaves_nothing(name: str, said: str) -> None:
    before = own_resources()
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        uemu.Machine(name)
    assert own_resources() == before


# Processes and pages


def test_processes_are_named_and_numbered(machine: uemu.Machine) -> None:
    assert [machine.spawn().name for _ in range(3)] == ["parent", "process-1", "process-2"]
    assert machine.spawn("server").name == "server"


def test_processes_do_not_share_memory(machine: uemu.Machine) -> None:
    one, other = machine.spawn(), machine.spawn()
    here, there = one.mmap(PAGE), other.mmap(PAGE)
    assert here == there
    one.store(here, b"1")
    other.store(there, b"2")
    assert (one.load(here, 1), other.load(there, 1)) == (b"1", b"2")


def test_a_page_has_a_record(machine: uemu.Machine, process: uemu.Process) -> None:
    buf = process.mmap(2 * PAGE)
    process.store(buf, b"x")
    pfn = machine.frame_of(process, buf + 17)
    assert pfn is not None
    assert machine.page(pfn) == (pfn, 1, 1, ())
    process.fork()
    assert machine.page(pfn)[1:3] == (2, 2)
    read = machine.dma.start(process, buf, 512, direction=uemu.DMA_TO_DEVICE)
    assert machine.page(pfn)[1:3] == (3, 2)
    read.complete()
    assert machine.page(pfn)[1:3] == (2, 2)


def test_what_is_not_mapped_has_no_frame(machine: uemu.Machine, process: uemu.Process) -> None:
    buf = process.mmap(2 * PAGE)
    assert machine.frame_of(process, buf) is None
    assert machine.frame_of(process, 0) is None
    with pytest.raises(KeyError):
        machine.page(12_345)


def test_the_timeline_tells_what_happened_and_outlives_the_machine() -> None:
    with uemu.Machine() as machine:
        process = machine.spawn()
        process.store(process.mmap(PAGE), b"x")
        inside = [type(event).__name__ for event in machine.timeline]
    assert inside == ["MmCreated", "FaultTaken", "PteSet", "Stored"]
    after = [type(event).__name__ for event in machine.timeline]
    assert after[: len(inside)] == inside
    assert after[-1] == "MmGone"


def test_a_broken_rule_of_the_kernel_is_found() -> None:
    with uemu.Machine() as machine:
        process = machine.spawn()
        buf = process.mmap(PAGE)
        process.store(buf, b"x")
        pfn = machine.frame_of(process, buf)
        assert pfn is not None
        machine.check()
        page = machine.stage.kernel.mech.pages[pfn]
        page.refcount.value += 1
        with pytest.raises(uemu.InvariantError, match="refcount-leak"):
            machine.check()


# Calls that wait


def take_lock(machine: uemu.Machine, process: uemu.Process) -> Callable[[], None]:
    """Hold a process's mmap_lock for reading; returns what gives it back."""
    lock, cpu = process._process.mm.mmap_lock, Cpu("io")
    machine.tracer.call(lambda: lock.down_read(cpu))
    return lambda: machine.tracer.call(lambda: lock.up_read(cpu))


def test_a_call_that_nothing_can_bring_on_says_what_it_waits_for() -> None:
    with uemu.Machine("linux-2.6.29") as machine:
        process = machine.spawn()
        give_back = take_lock(machine, process)
        with pytest.raises(
            uemu.Blocked, match="fork waits: dup_mmap: mmap_sem for writing"
        ) as blocked:
            process.fork()
        assert blocked.value.waits_for == "dup_mmap: mmap_sem for writing"
        give_back()


def test_a_call_that_was_begun_goes_on_when_it_can() -> None:
    with uemu.Machine("linux-2.6.29") as machine:
        process = machine.spawn()
        buf = process.mmap(PAGE)
        process.store(buf, b"I")
        give_back = take_lock(machine, process)
        call = process.begin.fork("late")
        assert not call.done
        with pytest.raises(uemu.Blocked):
            call.result()
        give_back()
        child = call.result()
        assert (call.done, child.name, child.load(buf, 1)) == (True, "late", b"I")
        assert [violation.kind for violation in machine.violations] == ["fork-blocked"]
        machine.check()


def test_a_thread_that_waits_can_do_nothing_else() -> None:
    with uemu.Machine("linux-2.6.29") as machine:
        process = machine.spawn()
        buf = process.mmap(PAGE)
        process.store(buf, b"I")
        other = process.thread()
        give_back = take_lock(machine, process)
        call = process.begin.fork()
        with pytest.raises(uemu.Blocked, match="load waits: its thread is still in fork"):
            process.load(buf, 1)
        assert other.load(buf, 1) == b"I"
        give_back()
        assert call.result().load(buf, 1) == b"I"


def test_a_namesake_of_a_thread_that_waits_is_not_held_up() -> None:
    with uemu.Machine("linux-2.6.29") as machine:
        process = machine.spawn()
        buf = process.mmap(PAGE)
        process.store(buf, b"I")
        one, namesake = process.fork(), process.fork()
        give_back = take_lock(machine, one)
        call = one.begin.fork()
        assert namesake.name == one.name
        assert namesake.load(buf, 1) == b"I"
        give_back()
        call.result()


def test_a_process_killed_while_it_waits_leaves_nothing() -> None:
    with uemu.Machine("linux-2.6.29") as machine:
        process, other = machine.spawn(), machine.spawn()
        process.store(process.mmap(PAGE), b"I")
        give_back = take_lock(machine, process)
        call = process.begin.fork()
        os.kill(process.pid, signal.SIGKILL)
        other.mmap(PAGE)
        give_back()
        with pytest.raises(uemu.ProcessDied, match=f"process {process.pid} was killed by SIGKILL"):
            call.result()
        assert machine.pfns == []
        assert machine.violations == []
        machine.check()


def test_a_machine_closes_while_a_call_waits() -> None:
    machine = uemu.Machine("linux-2.6.29")
    process = machine.spawn()
    take_lock(machine, process)
    process.begin.fork()
    machine.close()
    assert state(process.pid) is None


# The end


def test_closed_it_refuses_everything_and_says_why() -> None:
    machine = uemu.Machine("linux-2.6.29")
    process = machine.spawn()
    thread = process.thread()
    buf = process.mmap(PAGE)
    process.store(buf, b"x")
    transfer = machine.dma.start(process, buf, 512, direction=uemu.DMA_FROM_DEVICE)
    registration = machine.dma.register(process, buf, PAGE)
    machine.close()
    machine.close()
    for use in (
        machine.spawn,
        machine.check,
        process.fork,
        process.thread,
        process.exit,
        lambda: process.store(buf, b"x"),
        lambda: thread.load(buf, 1),
        lambda: process.mmap(PAGE),
        lambda: process.munmap(buf, PAGE),
        lambda: machine.frame_of(process, buf),
        lambda: machine.page(0),
        lambda: machine.dma.start(process, buf, 512, direction=uemu.DMA_TO_DEVICE),
        lambda: machine.dma.register(process, buf, PAGE),
        lambda: transfer.complete(b"x"),
        registration.release,
        lambda: registration.dma_read(0, 1),
    ):
        with pytest.raises(uemu.HostError, match="use this machine: it is closed"):
            use()
    assert machine.violations == []


def test_an_error_in_the_block_closes_it_too() -> None:
    pids = []

    def fails() -> None:
        with uemu.Machine() as machine:
            pids.append(machine.spawn().pid)
            raise OSError("the test's own")

    with pytest.raises(OSError, match="the test's own"):
        fails()
    assert state(pids[0]) is None


def test_two_machines_at_once_know_nothing_of_each_other() -> None:
    with uemu.Machine("linux-2.6.29") as one, uemu.Machine("linux-6.5") as other:
        mine, others = one.spawn(), other.spawn()
        buf = mine.mmap(PAGE)
        assert others.mmap(PAGE) == buf
        mine.store(buf, b"1")
        others.store(buf, b"2")
        child = mine.fork()
        one.close()
        assert state(mine.pid) is None
        assert state(child.pid) is None
        assert others.load(buf, 1) == b"2"
        assert others.fork().load(buf, 1) == b"2"
        other.check()


def test_a_process_of_another_machine_is_refused() -> None:
    with uemu.Machine() as one, uemu.Machine() as other:
        process = one.spawn()
        buf = process.mmap(PAGE)
        for use in (
            lambda: other.dma.start(process, buf, 512, direction=uemu.DMA_TO_DEVICE),
            lambda: other.dma.register(process, buf, PAGE),
            lambda: other.frame_of(process, buf),
        ):
            with pytest.raises(ValueError, match=r"<Process parent pid \d+> belongs to another"):
                use()


def test_many_machines_one_after_another_leave_nothing() -> None:
    def once() -> list[int]:
        with uemu.Machine("linux-2.6.29") as machine:
            parent = machine.spawn()
            buf = parent.mmap(4 * PAGE)
            parent.store(buf, b"I" * 4 * PAGE)
            thread = parent.thread()
            machine.dma.start(parent, buf, 512, direction=uemu.DMA_FROM_DEVICE)
            child = parent.fork()
            grandchild = child.fork()
            thread.store(buf, b"x")
            return [parent.pid, child.pid, grandchild.pid]

    once()
    before = own_resources()
    pids = [pid for _ in range(20) for pid in once()]
    assert own_resources() == before
    assert [state(pid) for pid in pids] == [None] * 60
    assert "memfd:uemu" not in Path("/proc/self/maps").read_text()


def test_a_machine_that_nobody_has_any_more_is_closed() -> None:
    before = own_resources()
    machine = uemu.Machine()
    parent = machine.spawn()
    parent.store(parent.mmap(PAGE), b"x")
    pids = [parent.pid, parent.fork().pid]
    gone = weakref.ref(machine)
    assert [state(pid) for pid in pids] == ["t", "t"]
    del machine, parent
    gc.collect()
    assert gone() is None
    assert [state(pid) for pid in pids] == [None, None]
    assert own_resources() == before


# Where ptrace is forbidden


def test_where_ptrace_is_forbidden_there_is_no_machine() -> None:
    code = textwrap.dedent("""
        import os, threading, uemu
        before = os.listdir("/proc/self/fd")
        try:
            uemu.Machine()
        except uemu.HostError as error:
            print(error.what, error.why, error.remedy, sep="\\n")
        print(threading.active_count(), os.listdir("/proc/self/fd") == before)
    """)
    run = subprocess.run(
        [sys.executable, no_ptrace.SCRIPT, "-c", code], capture_output=True, text=True, check=True
    )
    what, why, remedy, nothing_left = run.stdout.splitlines()
    assert what == "trace a process of our own (ptrace)"
    assert why.startswith("Operation not permitted (")
    assert "seccomp mode 2" in why
    assert "--security-opt seccomp=unconfined" in remedy
    assert nothing_left == "1 True"


def test_what_refuses_the_first_puppet_refuses_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = uemu.HostError("trace", "no", "Try again.")
    monkeypatch.setattr("uemu.machine.machine.ptrace_error", lambda: refused)
    with pytest.raises(uemu.HostError, match=r"trace: no\. Try again\."):
        uemu.Machine()
    assert doctor.probe_ptrace() is None


def test_a_violation_names_its_process_and_is_short_to_print() -> None:
    with uemu.Machine("linux-2.6.29") as machine:
        parent = machine.spawn()
        buf = parent.mmap(PAGE)
        parent.store(buf, b"I" * PAGE)
        read = machine.dma.start(parent, buf, 512, direction=uemu.DMA_FROM_DEVICE)
        child = parent.fork()
        parent.store(buf + 1024, b"x")
        read.complete(b"D" * 512)
        by_kind = {violation.kind: violation for violation in machine.violations}
    assert by_kind["lost-dma-write"].pid == parent.pid
    assert by_kind["dma-write-seen-by-other"].pid == child.pid
    assert f"pid={parent.pid}" in repr(by_kind["lost-dma-write"])
    assert str(by_kind["lost-dma-write"]).startswith("lost-dma-write: parent does not see")


def test_names_are_given_once() -> None:
    with uemu.Machine() as machine:
        machine.spawn()
        second = machine.spawn()
        second.exit()
        assert machine.spawn().name != second.name


@pytest.mark.parametrize("hpage_nr", [4, 512])
def test_a_huge_page_is_copied_whole(hpage_nr: int) -> None:
    with uemu.Machine("linux-6.5", hpage_nr=hpage_nr) as machine:
        parent = machine.spawn()
        buf = parent.mmap(machine.hpage_size, huge="hugetlb")
        last = buf + machine.hpage_size - 1
        parent.store(last, b"I")
        child = parent.fork()
        assert machine.frame_of(child, last) == machine.frame_of(parent, last)
        parent.store(buf, b"P")
        assert machine.frame_of(child, last) != machine.frame_of(parent, last)
        assert (parent.load(last, 1), child.load(last, 1), child.load(buf, 1)) == (
            b"I",
            b"I",
            b"\0",
        )
        machine.check()


def test_a_huge_mapping_is_of_whole_huge_pages() -> None:
    with uemu.Machine() as machine:
        parent = machine.spawn()
        with pytest.raises(uemu.Fault):
            parent.mmap(machine.hpage_size + uemu.PAGE_SIZE, huge="hugetlb")
        with pytest.raises(ValueError, match="unknown huge 'big'"):
            parent.mmap(machine.hpage_size, huge="big")
        with pytest.raises(uemu.Fault, match="only private ones"):
            parent.mmap(machine.hpage_size, shared=True, huge="hugetlb")


@pytest.mark.parametrize("hpage_nr", [0, 2, 6])
def test_a_huge_page_has_a_power_of_two_of_pages(hpage_nr: int) -> None:
    with pytest.raises(ValueError, match="a huge page has"):
        uemu.Machine(hpage_nr=hpage_nr)


def test_a_transparent_huge_page_is_shared_whole_and_split_by_a_store() -> None:
    with uemu.Machine("linux-5.11", hpage_nr=8) as machine:
        parent = machine.spawn()
        size = machine.hpage_size
        buf = parent.mmap(2 * size, huge="thp")
        parent.store(buf + size, b"I" * size)
        assert machine.frame_of(parent, buf) is None
        child = parent.fork()
        parent.store(buf + size + uemu.PAGE_SIZE, b"P")
        frames = [
            (machine.frame_of(parent, at), machine.frame_of(child, at))
            for at in range(buf + size, buf + 2 * size, uemu.PAGE_SIZE)
        ]
        assert [mine == childs for mine, childs in frames] == [True, False] + [True] * 6
        assert child.load(buf + size, size) == b"I" * size
        machine.check()
        assert machine.violations == []


def test_parts_of_a_transparent_huge_page_go_their_own_ways() -> None:
    with uemu.Machine("linux-5.11", hpage_nr=8) as machine:
        parent = machine.spawn()
        buf = parent.mmap(machine.hpage_size, huge="thp")
        pages = [buf + i * uemu.PAGE_SIZE for i in range(8)]
        parent.store(buf, b"I" * machine.hpage_size)
        frames = [machine.frame_of(parent, page) for page in pages]
        parent.munmap(pages[7], uemu.PAGE_SIZE)
        parent.mprotect(pages[6], uemu.PAGE_SIZE, uemu.PROT_READ)
        moved = parent.mremap(pages[5], uemu.PAGE_SIZE, uemu.PAGE_SIZE)
        assert machine.frame_of(parent, moved) == frames[5]
        assert [machine.frame_of(parent, page) for page in pages[:5]] == frames[:5]
        assert machine.swap_out(parent, pages[0]) == "freed"
        assert machine.migrate(parent, pages[1]) == "migrated"
        assert machine.ksm_merge((parent, pages[2]), (parent, pages[3])) == "merged"
        with pytest.raises(uemu.Fault):
            parent.store(pages[6], b"P")
        with pytest.raises(uemu.Fault):
            parent.load(pages[7], 1)
        for page in [*pages[:5], moved]:
            parent.store(page, b"P")
            assert parent.load(page, 2) == b"PI"
        machine.check()
        assert machine.violations == []


def test_transparent_huge_pages_came_later_than_2009() -> None:
    with uemu.Machine("linux-2.6.29") as machine:
        with pytest.raises(uemu.Fault) as caught:
            machine.spawn().mmap(machine.hpage_size, huge="thp")
        assert caught.value.errno == errno.EINVAL
