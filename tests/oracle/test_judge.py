"""The oracle alone, on events made by hand: each violation with its negative control."""

from __future__ import annotations

import pytest

from uemu.abi import PAGE_SIZE
from uemu.events import (
    DeviceRead,
    DeviceWrote,
    EventBus,
    Forked,
    Held,
    IoChecked,
    IoStarted,
    Loaded,
    MmCreated,
    MmGone,
    PageCopied,
    PageFreed,
    PteSet,
    Seen,
    Stored,
    Unmapped,
    Waited,
)
from uemu.oracle.judge import Oracle
from uemu.oracle.violations import KINDS, Violation

PARENT, CHILD = 0, 1
BASE = 0x10000
OFFSET = PAGE_SIZE - 512
ADDR = BASE + OFFSET
FRAME, COPY = 5, 6
IO = 1
OLD, DATA = b"I" * 512, b"D" * 512


class Story:
    """A parent that maps `FRAME` writable and lets a device hold its last 512 bytes."""

    def __init__(
        self, *, api: str = "o_direct", from_device: bool = True, sees_stores: bool = True
    ) -> None:
        self.bus = EventBus()
        self.oracle = Oracle(self.bus, sees_stores=sees_stores)
        self.bus.emit(MmCreated(PARENT, "parent", None))
        self.map(PARENT, FRAME)
        self.from_device, self.api = from_device, api

    def hold(self, *, long_term: bool = False, secondary: bool = False) -> None:
        """The device, or a guest, may access the buffer from now on."""
        held = (Held(PARENT, ADDR, FRAME, OFFSET, 512),)
        started = IoStarted("io", IO, self.api, self.from_device, True, long_term, False, held)
        self.bus.emit(started._replace(secondary=secondary))

    def fork(self) -> None:
        """The child maps the frame, too."""
        self.bus.emit(MmCreated(CHILD, "child", PARENT))
        self.map(CHILD, FRAME)
        self.bus.emit(Forked("fork", PARENT, CHILD))

    def map(self, mm: int, pfn: int | None, old: int | None = None) -> None:
        """An mm maps another frame at `BASE`, or none."""
        self.bus.emit(PteSet("cpu", mm, BASE, old, pfn, True))

    def store(self, mm: int, pfn: int, addr: int = ADDR, data: bytes = b"x") -> None:
        """A CPU stores."""
        self.bus.emit(Stored("cpu", mm, addr, pfn, data))

    def device_writes(self, data: bytes = DATA) -> None:
        """The device stores into the frame it holds."""
        self.bus.emit(DeviceWrote(IO, FRAME, OFFSET, data))

    def device_reads(self, data: bytes = OLD) -> None:
        """The device loads from the frame it holds."""
        self.bus.emit(DeviceRead(IO, FRAME, OFFSET, data))

    def look(self, pfn: int | None, data: bytes = b"", *, final: bool = True) -> None:
        """The request is over; the holder maps ``pfn`` and sees ``data``."""
        self.bus.emit(IoChecked("io", IO, ((pfn, data),), final))

    def kinds(self) -> list[str]:
        """What was found."""
        return [violation.kind for violation in self.oracle.violations]

    def only(self) -> Violation:
        """The one violation there is."""
        (violation,) = self.oracle.violations
        return violation


@pytest.fixture
def held() -> Story:
    story = Story()
    story.hold()
    return story


# lost-dma-write --------------------------------------------------------------------------


def test_bytes_a_device_wrote_into_a_frame_the_holder_left_are_lost(held: Story) -> None:
    held.map(PARENT, COPY, FRAME)
    held.device_writes()
    held.look(COPY, OLD)
    lost = held.only()
    assert (lost.kind, lost.mm, lost.address, lost.length, lost.pfn) == (
        "lost-dma-write", PARENT, ADDR, 512, FRAME
    )  # fmt: skip


def test_in_the_frame_it_still_maps_they_are_not(held: Story) -> None:
    held.device_writes()
    held.look(FRAME, DATA)
    assert held.kinds() == []


def test_a_copy_taken_after_the_device_wrote_has_them(held: Story) -> None:
    held.device_writes()
    held.map(PARENT, COPY, FRAME)
    held.look(COPY, DATA)
    assert held.kinds() == []


def test_a_device_that_wrote_nothing_lost_nothing(held: Story) -> None:
    held.map(PARENT, COPY, FRAME)
    held.look(COPY, OLD)
    assert held.kinds() == []


def test_a_short_transfer_loses_only_what_was_written(held: Story) -> None:
    held.map(PARENT, COPY, FRAME)
    held.device_writes(b"D" * 10)
    held.look(COPY, OLD)
    assert held.only().length == 10


def test_what_the_holder_overwrote_itself_is_not_lost(held: Story) -> None:
    held.map(PARENT, COPY, FRAME)
    held.device_writes(b"D")
    held.store(PARENT, COPY)
    held.look(COPY, b"x" + OLD[1:])
    assert held.kinds() == []


def test_a_store_before_the_device_wrote_is_no_excuse(held: Story) -> None:
    held.map(PARENT, COPY, FRAME)
    held.store(PARENT, COPY)
    held.device_writes(b"D")
    held.look(COPY, b"x" + OLD[1:])
    assert held.kinds() == ["lost-dma-write"]


def test_a_store_beside_the_buffer_is_no_excuse(held: Story) -> None:
    held.map(PARENT, COPY, FRAME)
    held.device_writes(b"D")
    held.store(PARENT, COPY, addr=BASE)
    held.look(COPY, OLD)
    assert held.kinds() == ["lost-dma-write"]


@pytest.mark.parametrize("end", [BASE + PAGE_SIZE, BASE + 2 * PAGE_SIZE])
def test_a_holder_that_unmapped_its_buffer_lost_nothing(held: Story, end: int) -> None:
    held.bus.emit(Unmapped("cpu", PARENT, BASE, end))
    held.map(PARENT, COPY, None)
    held.device_writes()
    held.look(COPY, OLD)
    assert held.kinds() == []


@pytest.mark.parametrize(
    "event",
    [
        Unmapped("cpu", PARENT, BASE - PAGE_SIZE, BASE),
        Unmapped("cpu", CHILD, BASE, BASE + PAGE_SIZE),
        MmGone(CHILD),
    ],
)
def test_unmapping_something_else_is_no_excuse(held: Story, event: Unmapped | MmGone) -> None:
    held.bus.emit(event)
    held.map(PARENT, COPY, FRAME)
    held.device_writes()
    held.look(COPY, OLD)
    assert held.kinds() == ["lost-dma-write"]


def test_a_holder_that_is_gone_lost_nothing(held: Story) -> None:
    held.bus.emit(MmGone(PARENT))
    held.device_writes()
    held.look(None)
    assert held.kinds() == []


# dma-write-seen-by-other -------------------------------------------------------------------


def test_an_mm_that_shares_the_frame_sees_what_the_device_writes(held: Story) -> None:
    held.fork()
    held.device_writes()
    seen = held.only()
    assert (seen.kind, seen.mm, seen.address, seen.length) == (
        "dma-write-seen-by-other", CHILD, ADDR, 512
    )  # fmt: skip


def test_an_mm_that_left_the_frame_before_does_not(held: Story) -> None:
    held.fork()
    held.map(CHILD, COPY, FRAME)
    held.device_writes()
    assert held.kinds() == []


def test_an_mm_that_unmapped_it_does_not(held: Story) -> None:
    held.fork()
    held.map(CHILD, None, FRAME)
    held.device_writes()
    assert held.kinds() == []


def test_a_fork_after_the_device_wrote_shows_the_child_nothing_new(held: Story) -> None:
    held.device_writes()
    held.fork()
    held.look(FRAME, DATA)
    assert held.kinds() == []


def test_it_is_said_once_for_each_mm(held: Story) -> None:
    held.fork()
    held.device_writes(b"a")
    held.device_writes(b"b")
    assert held.kinds() == ["dma-write-seen-by-other"]


# foreign-dma-read and secret-leak ----------------------------------------------------------


def reader(api: str = "o_direct") -> Story:
    """The device reads; the parent left the frame to the child."""
    story = Story(api=api, from_device=False)
    story.hold()
    story.fork()
    story.map(PARENT, COPY, FRAME)
    return story


@pytest.mark.parametrize(
    ("api", "kind"),
    [("o_direct", "foreign-dma-read"), ("vfio", "foreign-dma-read"), ("vmsplice", "secret-leak")],
)
def test_a_device_that_receives_what_another_mm_stored(api: str, kind: str) -> None:
    story = reader(api)
    story.store(CHILD, FRAME, addr=ADDR + 3)
    story.device_reads()
    found = story.only()
    assert (found.kind, found.mm, found.address, found.length) == (kind, PARENT, ADDR + 3, 1)


def test_what_the_holder_stored_last_is_its_own() -> None:
    story = reader()
    story.store(CHILD, FRAME)
    story.store(PARENT, FRAME)
    story.device_reads()
    assert story.kinds() == []


def test_what_a_device_wrote_over_it_is_not_the_childs() -> None:
    story = reader()
    story.store(CHILD, FRAME)
    story.device_writes(b"D")
    story.device_reads()
    assert "foreign-dma-read" not in story.kinds()


def test_a_store_into_another_frame_is_not_received() -> None:
    story = reader()
    story.store(CHILD, COPY)
    story.device_reads()
    assert story.kinds() == []


def test_a_store_beside_the_buffer_is_not_received() -> None:
    story = reader()
    story.store(CHILD, FRAME, addr=BASE)
    story.device_reads()
    assert story.kinds() == []


# stale-dma-read ------------------------------------------------------------------------------


def test_a_registration_that_reads_a_frame_the_holder_left_is_stale() -> None:
    story = Story(api="vfio", from_device=False)
    story.hold(long_term=True)
    story.map(PARENT, COPY, FRAME)
    story.device_reads()
    story.look(COPY, b"P" + OLD[1:], final=False)
    found = story.only()
    assert (found.kind, found.address, found.length) == ("stale-dma-read", ADDR, 1)


def test_as_long_as_the_bytes_agree_it_is_not() -> None:
    story = Story(api="vfio", from_device=False)
    story.hold(long_term=True)
    story.map(PARENT, COPY, FRAME)
    story.device_reads()
    story.look(COPY, OLD, final=False)
    assert story.kinds() == []


def test_one_request_may_read_what_was_there_when_it_began() -> None:
    story = Story(from_device=False)
    story.hold()
    story.map(PARENT, COPY, FRAME)
    story.device_reads()
    story.look(COPY, b"P" + OLD[1:])
    assert story.kinds() == []


# The others ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("done", "kinds"), [(True, ["fork-blocked"]), (False, [])])
def test_a_wait_that_ended_is_a_violation(held: Story, done: bool, kinds: list[str]) -> None:
    held.bus.emit(Waited("fork", PARENT, "dup_mmap", "directio_sem for writing", done))
    assert held.kinds() == kinds


def test_a_frame_freed_under_a_device_is_a_violation(held: Story) -> None:
    held.bus.emit(PageFreed(FRAME))
    assert held.kinds() == ["pinned-page-freed"]


def test_a_frame_freed_after_the_io_is_none(held: Story) -> None:
    held.look(FRAME, OLD)
    held.bus.emit(PageFreed(FRAME))
    assert held.kinds() == []


# Stories ---------------------------------------------------------------------------------------


def test_a_violation_tells_how_it_came_about(held: Story) -> None:
    held.fork()
    held.bus.emit(PageCopied("cpu", PARENT, BASE, FRAME, COPY, "cow_user_page"))
    held.map(PARENT, COPY, FRAME)
    held.store(PARENT, COPY, addr=BASE)
    held.device_writes()
    held.look(COPY, OLD)
    assert held.kinds() == ["dma-write-seen-by-other", "lost-dma-write"]
    assert [line.event for line in held.oracle.violations[-1].story] == [
        "got", "mapped", "forked", "copied", "left", "stored", "device-wrote"
    ]  # fmt: skip
    assert "parent does not see what the device wrote" in held.oracle.violations[-1].message


def test_what_happened_before_the_io_or_elsewhere_is_no_part_of_it() -> None:
    story = Story()
    story.store(PARENT, FRAME)
    story.hold()
    story.bus.emit(PteSet("cpu", PARENT, BASE + PAGE_SIZE, None, 9, True))
    story.bus.emit(Stored("cpu", PARENT, BASE + PAGE_SIZE, 9, b"x"))
    story.map(PARENT, COPY, FRAME)
    story.device_writes()
    story.look(COPY, OLD)
    assert [line.event for line in story.only().story] == ["got", "left", "device-wrote"]


def test_when_the_io_is_over_nothing_is_judged_any_more(held: Story) -> None:
    held.look(FRAME, OLD)
    held.fork()
    held.store(CHILD, FRAME)
    held.map(PARENT, COPY, FRAME)
    assert held.kinds() == []


def test_every_kind_says_what_it_means() -> None:
    assert len(KINDS) == 14
    assert all(meaning for meaning in KINDS.values())


# lost-store ------------------------------------------------------------------------------


def test_a_store_that_its_own_mm_does_not_read_back_is_lost() -> None:
    story = Story()
    story.store(PARENT, FRAME, ADDR, b"new")
    story.bus.emit(Loaded("cpu", PARENT, ADDR, COPY, b"neI"))
    violation = story.only()
    assert (violation.kind, violation.mm) == ("lost-store", PARENT)
    assert (violation.address, violation.length) == (ADDR + 2, 1)


def test_a_whole_page_seen_in_the_end_shows_a_lost_store_too() -> None:
    story = Story()
    story.store(PARENT, FRAME, BASE, b"x")
    story.bus.emit(Seen(PARENT, BASE, COPY, b"I" * PAGE_SIZE))
    assert story.kinds() == ["lost-store"]


@pytest.mark.parametrize("kind", ["same", "other mm", "other bytes", "unmapped", "gone", "device"])
def test_no_store_is_lost_that_was_read_back_or_replaced(kind: str) -> None:
    story = Story()
    story.store(PARENT, FRAME, ADDR, b"x")
    mm, addr, data = PARENT, ADDR, b"I"
    if kind == "same":
        data = b"x"
    elif kind == "other mm":
        mm = CHILD
        story.fork()
    elif kind == "other bytes":
        addr += 1
    elif kind == "unmapped":
        story.bus.emit(Unmapped("cpu", PARENT, BASE, BASE + PAGE_SIZE))
    elif kind == "gone":
        story.bus.emit(MmGone(PARENT))
    else:
        story.hold()
        story.device_writes(b"I" * 512)
    story.bus.emit(Loaded("cpu", mm, addr, FRAME, data))
    assert story.kinds() == []


def test_a_store_by_another_mm_to_the_same_address_is_its_own() -> None:
    story = Story()
    story.fork()
    story.store(PARENT, FRAME, ADDR, b"p")
    story.store(CHILD, COPY, ADDR, b"c")
    story.bus.emit(Loaded("cpu", PARENT, ADDR, FRAME, b"p"))
    assert story.kinds() == []


# What is known of the buffer


def test_a_violation_tells_of_the_buffer_and_who_was_beside_it_meanwhile() -> None:
    story = Story()
    story.hold()
    beside = (Held(PARENT, BASE, FRAME, 0, 512),)
    story.bus.emit(IoStarted("io", 2, "o_direct", True, True, False, False, beside))
    elsewhere = (Held(PARENT, BASE + PAGE_SIZE, 9, 0, 512),)
    story.bus.emit(IoStarted("io", 3, "o_direct", True, True, False, False, elsewhere))
    story.fork()
    story.map(PARENT, COPY, FRAME)
    story.device_writes()
    story.look(COPY, OLD)
    lost = next(each for each in story.oracle.violations if each.kind == "lost-dma-write")
    assert lost.buffer is not None
    assert (lost.buffer.start, lost.buffer.end) == (ADDR, ADDR + 512)
    assert (lost.buffer.api, lost.buffer.pinned) == ("o_direct", False)
    assert lost.buffer.neighbours == ((BASE, BASE + 512),)


@pytest.mark.parametrize(("sees_stores", "kinds"), [(True, ["lost-dma-write"]), (False, [])])
def test_where_stores_are_not_seen_what_was_there_once_may_be_overwritten(
    sees_stores: bool, kinds: list[str]
) -> None:
    story = Story(api="io_uring", sees_stores=sees_stores)
    story.hold(long_term=True)
    story.device_writes()
    story.look(FRAME, final=False)
    story.map(PARENT, COPY, FRAME)
    story.look(COPY, b"P" * 512)
    assert story.kinds() == kinds


@pytest.mark.parametrize("sees_stores", [True, False])
def test_what_was_never_there_is_lost_whoever_sees_stores(sees_stores: bool) -> None:
    story = Story(api="io_uring", sees_stores=sees_stores)
    story.hold(long_term=True)
    story.map(PARENT, COPY, FRAME)
    story.device_writes()
    story.look(COPY, OLD, final=False)
    story.look(COPY, OLD)
    assert story.kinds() == ["lost-dma-write"]


def test_a_witness_is_asked_at_what_threads_do_and_at_nothing_else() -> None:
    bus, story, asked = EventBus(), Story(), list[str]()

    def witness(cpu: str) -> int:
        asked.append(cpu)
        return len(asked)

    story.bus, story.oracle = bus, Oracle(bus, witness)
    bus.emit(MmCreated(PARENT, "parent", None))
    story.map(PARENT, FRAME)
    assert asked == [], "nothing is held"
    story.hold()
    story.fork()
    story.map(PARENT, COPY, FRAME)
    story.device_writes()
    story.look(COPY, OLD)
    assert asked == ["io", "fork"]
    lost = next(each for each in story.oracle.violations if each.kind == "lost-dma-write")
    moments = {line.event: line.moment for line in lost.story}
    assert (moments["got"], moments["forked"]) == (1, 2)
    assert moments["device-wrote"] is moments["left"] is None


# Secondary MMUs ---------------------------------------------------------------------------


@pytest.mark.parametrize(("secondary", "kinds"), [(True, ["lost-store"]), (False, [])])
@pytest.mark.parametrize("pfn", [FRAME, None])
def test_what_a_guest_stored_where_its_process_would_is_a_store_of_its(
    secondary: bool, kinds: list[str], pfn: int | None
) -> None:
    story = Story(api="kvm")
    story.hold(long_term=True, secondary=secondary)
    story.device_writes()
    story.look(pfn, final=False)  # None: the entry is being replaced
    story.look(None)
    story.map(PARENT, COPY, FRAME)
    story.bus.emit(Loaded("cpu", PARENT, ADDR, COPY, OLD))
    assert story.kinds() == kinds


def test_what_it_stored_elsewhere_is_said_once() -> None:
    story = Story(api="kvm")
    story.hold(long_term=True, secondary=True)
    story.map(PARENT, COPY, FRAME)
    story.device_writes()
    story.look(COPY, OLD, final=False)
    story.bus.emit(Loaded("cpu", PARENT, ADDR, COPY, OLD))
    assert story.kinds() == ["lost-dma-write"]
