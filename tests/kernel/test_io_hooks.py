"""What a policy is told of an I/O, and in which order; gup in batches."""

from __future__ import annotations

import pytest

from tests.common import TinyWorld, one_page, run_steps
from uemu.abi import PAGE_SIZE, Direction
from uemu.errors import Fault
from uemu.mm.lock_hooks import IoRequest
from uemu.mm.mm_struct import MmStruct
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op, Step, run


class Telling(Linux2_6_29):
    """Notes when it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def io_begin(self, cpu: Cpu, request: IoRequest) -> Op[None]:
        yield Step("io_begin")
        self.told.append("begin")

    def io_return(self, cpu: Cpu, request: IoRequest) -> None:
        self.told.append("return")

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        self.told.append("end")

    def fork_begin(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        yield Step("fork_begin")
        self.told.append("fork begins")

    def fork_end(self, cpu: Cpu, mm: MmStruct) -> None:
        self.told.append("fork ends")

    def fault_begin(self, cpu: Cpu, mm: MmStruct, addr: int, *, write: bool) -> Op[None]:
        yield Step("fault_begin")
        self.told.append(f"fault at {addr % PAGE_SIZE}")


@pytest.mark.parametrize(
    ("api", "aio", "told"),
    [
        ("o_direct", False, ["begin", "end"]),
        ("o_direct", True, ["begin", "return", "end"]),
        ("vmsplice", False, ["begin", "return", "end"]),
    ],
)
def test_a_policy_is_told_when_an_io_begins_returns_and_ends(
    api: str, aio: bool, told: list[str]
) -> None:
    hooks = Telling()
    world, parent, buf = one_page(hooks)
    hooks.told.clear()
    io = world.kernel.io
    transfer = run(
        io.dio_submit(parent.cpu, parent.mm, [(buf, 512)], Direction.TO_DEVICE, api, aio=aio)
    )
    assert hooks.told == told[:-1]
    world.complete(transfer)
    assert hooks.told == told


@pytest.mark.parametrize("told", [["begin", "end"], ["begin", "return", "end"]])
def test_it_is_told_of_the_end_of_an_io_that_was_refused(told: list[str]) -> None:
    hooks = Telling()
    world, parent, _ = one_page(hooks)
    hooks.told.clear()
    iov, way = [(0x1000, 512)], Direction.FROM_DEVICE
    aio = "return" in told
    with pytest.raises(Fault):
        run(world.kernel.io.dio_submit(parent.cpu, parent.mm, iov, way, "o_direct", aio=aio))
    assert hooks.told == told


def test_it_is_told_of_registrations_faults_and_forks() -> None:
    hooks = Telling()
    world, parent, buf = one_page(hooks)
    assert hooks.told == ["fault at 0"]
    hooks.told.clear()
    memory = parent.register(buf)
    parent.fork()
    parent.store(buf + 7, b"x")
    world.release(memory)
    assert hooks.told == ["begin", "return", "fork begins", "fork ends", "fault at 7", "end"]


def test_one_call_of_gup_takes_64_pages() -> None:
    world = TinyWorld("linux-2.6.29")
    parent = world.process()
    buf = parent.mmap(130)
    parent.store(buf, b"I" * (130 * PAGE_SIZE))
    op = world.kernel.io.dio_submit(
        parent.cpu, parent.mm, [(buf + 512, 129 * PAGE_SIZE)], Direction.TO_DEVICE, "o_direct"
    )
    transfer, taken = run_steps(op)
    assert taken.count("get_user_pages_fast") == 3
    assert len(transfer.segments) == 130
    world.complete(transfer)


class AroundGup(Linux2_6_29):
    """Counts the calls of get_user_pages, and those under way."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = 0
        self.inside = 0

    def gup_begin(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        yield Step("gup_begin")
        self.entered += 1
        self.inside += 1

    def gup_end(self, cpu: Cpu, mm: MmStruct) -> None:
        self.inside -= 1


@pytest.mark.parametrize(("nr_pages", "calls"), [(1, 1), (64, 1), (65, 2)])
def test_each_call_of_gup_is_told_at_its_beginning_and_its_end(nr_pages: int, calls: int) -> None:
    hooks = AroundGup()
    world = TinyWorld(hooks)
    parent = world.process()
    buf = parent.mmap(nr_pages)
    op = world.kernel.io.dio_submit(
        parent.cpu, parent.mm, [(buf, nr_pages * PAGE_SIZE)], Direction.FROM_DEVICE, "o_direct"
    )
    for step in op:
        assert hooks.inside == (step.fn != "gup_begin")
    assert (hooks.entered, hooks.inside) == (calls, 0)


def test_a_call_of_gup_that_is_refused_ends_too() -> None:
    hooks = AroundGup()
    _, parent, _ = one_page(hooks)
    with pytest.raises(Fault):
        parent.read_disk(0x1000, 512)
    assert (hooks.entered, hooks.inside) == (1, 0)
