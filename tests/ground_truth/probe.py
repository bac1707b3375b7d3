"""The probe that measured the real kernels, once more on an emulated one.

A row's ``steps`` are its program: `Probe` carries out the words in their
order and then looks where the row says that something was seen. One page of
private anonymous memory, all bytes ``I``. A read-write pin is a transfer
into the page's last 512 bytes, stores go to byte 0; a read-only pin is a
transfer of the whole page to the device, the parent fills the page and the
child stores into its last byte. Of a huge page it is the first page, or the
transfer is into another.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import uemu
from tests import common
from uemu.dma.engine import Io, Registration, Transfer
from uemu.mm.ksm import MERGED
from uemu.mm.pte import Pte
from uemu.scenario.actions import HPAGE_NR
from uemu.step import run

PAGE = uemu.PAGE_SIZE
LAST_SECTOR = PAGE - 512


class Row(NamedTuple):
    """What one kernel did in one case.

    Attributes:
        seen: a letter for each place looked at; empty if the kernel has no such thing.
    """

    kernel: str
    case: str
    pin: str
    steps: str
    seen: dict[str, str]


def read_rows() -> list[Row]:
    """All rows of ``ground-truth.json``."""
    data = json.loads((Path(__file__).parent / "ground-truth.json").read_text())
    assert data["format"] == 1
    return [
        Row(kernel, row["case"], row["pin"], row["steps"], row.get("seen", {}))
        for kernel, rows in data["kernels"].items()
        for row in rows
    ]


# The worlds a probe runs in -----------------------------------------------------------------


class User(Protocol):
    """A process."""

    def store(self, addr: int, data: bytes) -> None: ...
    def load(self, addr: int, length: int) -> bytes: ...
    def fork(self) -> User: ...
    def exit(self) -> None: ...


class Held(Protocol):
    """Memory that a device holds."""

    def write(self, offset: int, data: bytes) -> None: ...
    def read(self, length: int) -> bytes: ...


class World(Protocol):
    """A machine with one process on it."""

    parent: User
    buf: int

    def transfer(self, user: User, addr: int, length: int, api: str, *, read: bool) -> Held: ...
    def register(self, user: User, addr: int) -> Held: ...
    def change(self, user: User, call: str, *args: int) -> None: ...
    def another_page(self, user: User) -> int: ...
    def map_shared(self, user: User) -> int: ...
    def map_huge(self, user: User, huge: str) -> range: ...
    def pageout(self, user: User) -> None: ...
    def is_present(self, user: User) -> bool: ...
    def clear_refs(self, user: User) -> None: ...
    def ksm_merge(self, user: User, other: int) -> bool: ...


class LiveTransfer:
    """One request; whatever the device does ends it."""

    def __init__(self, transfer: uemu.Transfer) -> None:
        self.transfer = transfer

    def write(self, offset: int, data: bytes) -> None:
        assert offset == 0
        self.transfer.complete(data)

    def read(self, length: int) -> bytes:
        return self.transfer.complete()[:length]


class LiveRegistration:
    """A registered buffer."""

    def __init__(self, registration: uemu.Registration) -> None:
        self.registration = registration

    def write(self, offset: int, data: bytes) -> None:
        self.registration.dma_write(offset, data)

    def read(self, length: int) -> bytes:
        return self.registration.dma_read(0, length)


class LiveWorld:
    """Real processes."""

    def __init__(self, machine: uemu.Machine) -> None:
        self.machine = machine
        self.parent: Any = machine.spawn()
        self.buf: int = self.parent.mmap(PAGE)

    def transfer(self, user: Any, addr: int, length: int, api: str, *, read: bool) -> Held:
        way = uemu.DMA_FROM_DEVICE if read else uemu.DMA_TO_DEVICE
        return LiveTransfer(self.machine.dma.start(user, addr, length, direction=way, api=api))

    def register(self, user: Any, addr: int) -> Held:
        return LiveRegistration(self.machine.dma.register(user, addr, PAGE, api="io_uring"))

    def change(self, user: Any, call: str, *args: int) -> None:
        getattr(user, call)(self.buf, PAGE, *args)

    def another_page(self, user: Any) -> int:
        other: int = user.mmap(PAGE)
        return other

    def map_shared(self, user: Any) -> int:
        self.buf = user.mmap(PAGE, shared=True)
        return self.buf

    def map_huge(self, user: Any, huge: str) -> range:
        size = self.machine.hpage_size
        self.buf = user.mmap(size, huge=huge)
        return range(self.buf, self.buf + size, PAGE)

    def pageout(self, user: Any) -> None:
        pfn = self.machine.frame_of(user, self.buf)
        if pfn is not None and self.machine.page(pfn).mapcount == 1:
            self.machine.swap_out(user, self.buf)

    def is_present(self, user: Any) -> bool:
        return self.machine.frame_of(user, self.buf) is not None

    def clear_refs(self, user: Any) -> None:
        self.machine.clear_refs(user)

    def ksm_merge(self, user: Any, other: int) -> bool:
        return self.machine.ksm_merge((user, self.buf), (user, other)) == MERGED


class SimulatedHeld:
    """A transfer or registration of the simulated kernel."""

    def __init__(self, world: common.TinyWorld, io: Io) -> None:
        self.world = world
        self.io = io

    def write(self, offset: int, data: bytes) -> None:
        self.world.device_writes(self.io, data, offset)
        self._complete()

    def read(self, length: int) -> bytes:
        read = self.world.device_reads(self.io, length)
        self._complete()
        return read

    def _complete(self) -> None:
        if isinstance(self.io, Transfer):
            self.world.complete(self.io)
        else:
            assert isinstance(self.io, Registration)


class SimulatedWorld:
    """The same kernel on the simulated MMU."""

    def __init__(self, policy: str) -> None:
        self.world = common.TinyWorld(policy)
        self.parent: Any = self.world.process()
        self.buf: int = self.parent.mmap()

    def transfer(self, user: Any, addr: int, length: int, api: str, *, read: bool) -> Held:
        start = user.read_disk if read else user.write_disk
        return SimulatedHeld(self.world, start(addr, length, api))

    def register(self, user: Any, addr: int) -> Held:
        return SimulatedHeld(self.world, user.register(addr, api="io_uring"))

    def change(self, user: Any, call: str, *args: int) -> None:
        getattr(user, call)(self.buf, *args)

    def another_page(self, user: Any) -> int:
        other: int = user.mmap()
        return other

    def map_shared(self, user: Any) -> int:
        self.buf = user.mmap(shared=True)
        return self.buf

    def map_huge(self, user: Any, huge: str) -> range:
        self.buf = user.mmap(HPAGE_NR, huge=huge)
        return range(self.buf, self.buf + HPAGE_NR * PAGE, PAGE)

    def pageout(self, user: Any) -> None:
        # What several map MADV_PAGEOUT leaves alone. Linux: madvise_cold_or_pageout_pte_range.
        if self.is_present(user) and user.page(self.buf).mapcount.peek() == 1:
            run(self.world.kernel.swap_out(self.world.device, user.mm, self.buf))

    def is_present(self, user: Any) -> bool:
        return isinstance(user.mm.ptes[self.buf].peek(), Pte)

    def clear_refs(self, user: Any) -> None:
        run(self.world.kernel.clear_refs(user.cpu, user.mm))

    def ksm_merge(self, user: Any, other: int) -> bool:
        places = (user.mm, self.buf), (user.mm, other)
        return run(self.world.kernel.ksm_merge(self.world.device, *places)) == MERGED


# The program ------------------------------------------------------------------------------------


class Probe:
    """One row, carried out in a world."""

    def __init__(self, world: World, row: Row) -> None:
        self.world = world
        self.row = row
        self.parent, self.buf = world.parent, world.buf
        self.pages = range(0)
        self.pinned = self.buf
        self.child: User | None = None
        self.held: Held | None = None
        self.sector = 0
        self.from_device = ""
        self.other = 0
        self.told: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        """Carry out the steps; what is seen at the places the row names, a letter each."""
        if "KSM" in self.row.steps:
            self.other = self.world.another_page(self.parent)
            for addr in (self.buf, self.other):
                self.parent.store(addr, b"3" * PAGE)
        elif "zero page" not in self.row.steps:
            self.parent.store(self.buf, b"I" * PAGE)
        for word in words(self.row.steps):
            ACTIONS[word](self)
        return {place: self.look(place) for place in self.row.seen}

    # Words

    def pin(self, who: User, *, write: bool, whole: bool = False) -> None:
        """Take the reference in the row's way."""
        if self.row.pin == "io_uring":
            self.held = self.world.register(who, self.pinned)
            self.sector = 0 if whole else LAST_SECTOR
            return
        api = self.row.pin.removesuffix("_block")
        whole = whole or not write
        addr, length = (self.pinned, PAGE) if whole else (self.pinned + LAST_SECTOR, 512)
        self.held = self.world.transfer(who, addr, length, api, read=write)

    def dma(self, letter: bytes = b"D") -> None:
        """The device writes the last 512 bytes of the page, or all of it."""
        assert self.held is not None
        whole = "RW-pins" in self.row.steps
        self.held.write(self.sector, letter * (PAGE if whole else 512))

    def device_reads(self) -> None:
        """The device, or whoever reads the reference, gets the page; its last byte counts."""
        assert self.held is not None
        self.from_device = letter_of(self.held.read(PAGE)[-1:])

    def parent_stores(self, letter: bytes = b"P") -> None:
        """Byte 0 beside a transfer into the page, the whole page under one out of it."""
        self.parent.store(self.buf, letter * (1 if "RW" in self.row.steps else PAGE))

    def child_stores(self) -> None:
        """Byte 0 beside a transfer into the page, the last byte under one out of it."""
        at = 0 if "RW" in self.row.steps else PAGE - 1
        self._child().store(self.buf + at, b"C")

    def fork(self) -> None:
        """A child; the one before is gone."""
        self.child = self.parent.fork()

    def child_exits(self) -> None:
        """Only the parent is left."""
        self._child().exit()
        self.child = None

    def change(self, who: User, call: str, *args: int) -> None:
        """A memory call over the whole page."""
        self.world.change(who, call, *args)

    def map_shared(self) -> None:
        """It is about a page of shared memory instead."""
        self.buf = self.pinned = self.world.map_shared(self.parent)
        self.parent.store(self.buf, b"I" * PAGE)

    def map_huge(self, huge: str) -> None:
        """It is about a page of a huge page instead."""
        self.pages = self.world.map_huge(self.parent, huge)
        self.buf = self.pinned = self.pages[0]
        for addr in self.pages:
            self.parent.store(addr, b"I" * PAGE)

    def pin_in_the_middle(self) -> None:
        """The page under the transfer is the one in the middle of the huge page."""
        self.pinned = self.pages[len(self.pages) // 2]
        self.pin(self.parent, write=True)

    def read_touch(self) -> None:
        """The parent loads from the page."""
        self.parent.load(self.buf, 1)

    def pageout(self) -> None:
        """MADV_PAGEOUT by the parent, and whether its page is still there."""
        self.world.pageout(self.parent)
        present = self.world.is_present(self.parent)
        self.told["after_pageout"] = "present" if present else "swapped"

    def ksm_merge(self) -> None:
        """KSM finds the page equal to another; what counts is whether it ever was merged."""
        merged = self.world.ksm_merge(self.parent, self.other)
        if merged or "pinned_page_merged" not in self.told:
            self.told["pinned_page_merged"] = "YES" if merged else "no"

    def _child(self) -> User:
        assert self.child is not None
        return self.child

    # Places

    def look(self, place: str) -> str:
        """The letter at a place."""
        if place in self.told:
            return self.told[place]
        if place == "other_page":
            return letter_at(self.parent, self.other)
        if place in ("device_read", "pin_read"):
            return self.from_device
        if place == "second_dma":
            if self.child is not None:
                self.child_exits()
            self.dma(b"E")
            return letter_at(self.parent, self.pinned + LAST_SECTOR)
        who, what = place.split("_")
        user = self.parent if who == "parent" else self._child()
        return letter_at(user, {"dma": self.pinned + LAST_SECTOR, "cpu": self.buf}[what])


def letter_at(user: User, addr: int) -> str:
    """What a process reads there."""
    try:
        return letter_of(user.load(addr, 1))
    except uemu.Fault:
        return "none"


def letter_of(byte: bytes) -> str:
    """A byte as the rows write it."""
    return "0" if byte == b"\0" else byte.decode()


def words(steps: str) -> list[str]:
    """The steps of a row, one by one; what is in parentheses only explains."""
    return [step.split(" (")[0].strip() for step in steps.split(",")]


def _nothing(probe: Probe) -> None:
    """Words that say what does not happen."""


def _mprotect_and_back(probe: Probe) -> None:
    for prot in (uemu.PROT_READ, uemu.PROT_READ | uemu.PROT_WRITE):
        probe.change(probe.parent, "mprotect", prot)


def _vfork(probe: Probe) -> None:
    """A child that borrows the memory and ends: to the simulated kernel, nothing."""
    if isinstance(probe.parent, uemu.Process):
        probe.parent.vfork().exit()


def _posix_spawn(probe: Probe) -> None:
    if isinstance(probe.parent, uemu.Process):
        assert probe.parent.spawn(["true"]) == 0


def _both_write(probe: Probe) -> None:
    probe.parent_stores()
    probe.child_stores()


ACTIONS: dict[str, Callable[[Probe], None]] = {
    "RW pin": lambda probe: probe.pin(probe.parent, write=True),
    "RO pin": lambda probe: probe.pin(probe.parent, write=False),
    "RO pin of zero page": lambda probe: probe.pin(probe.parent, write=False),
    "parent RW-pins shared page": lambda probe: probe.pin(probe.parent, write=True, whole=True),
    "child RW-pins shared page": lambda probe: probe.pin(probe._child(), write=True, whole=True),
    "child RO-pins": lambda probe: probe.pin(probe._child(), write=False),
    "no fork": _nothing,
    "nobody writes": _nothing,
    "fork": Probe.fork,
    "fork again": Probe.fork,
    "vfork": _vfork,
    "posix_spawn": _posix_spawn,
    "child exits": Probe.child_exits,
    "parent writes": Probe.parent_stores,
    "parent writes P": Probe.parent_stores,
    "then parent writes": Probe.parent_stores,
    "parent writes secret S": lambda probe: probe.parent_stores(b"S"),
    "parent writes S": lambda probe: probe.parent_stores(b"S"),
    "child writes": Probe.child_stores,
    "child writes C": Probe.child_stores,
    "both write": _both_write,
    "mprotect R then RW": _mprotect_and_back,
    "munmaps": lambda probe: probe.change(probe._child(), "munmap"),
    "MADV_DONTFORK": lambda probe: probe.change(probe.parent, "madvise", uemu.MADV_DONTFORK),
    "MADV_WIPEONFORK": lambda probe: probe.change(probe.parent, "madvise", uemu.MADV_WIPEONFORK),
    "MAP_SHARED": Probe.map_shared,
    "THP": lambda probe: probe.map_huge("thp"),
    "hugetlb": lambda probe: probe.map_huge("hugetlb"),
    "RW pin in subpage 0": lambda probe: probe.pin(probe.parent, write=True),
    "RW pin in subpage 256": Probe.pin_in_the_middle,
    "parent writes same subpage": Probe.parent_stores,
    "parent writes subpage 0": Probe.parent_stores,
    "no pin": _nothing,
    "MADV_PAGEOUT": Probe.pageout,
    "read touch": Probe.read_touch,
    "write": Probe.parent_stores,
    "clear_refs 4": lambda probe: probe.world.clear_refs(probe.parent),
    "KSM merge attempt": Probe.ksm_merge,
    "KSM merged": Probe.ksm_merge,
    "then RW pin": lambda probe: probe.pin(probe.parent, write=True),
    "KSM again": Probe.ksm_merge,
    "DMA": Probe.dma,
    "device reads": Probe.device_reads,
    "child reads pin": Probe.device_reads,
}
"""What each word of the steps means."""
