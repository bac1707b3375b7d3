"""A watched run: which events are decisions, in which words, and who has what after them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from uemu.events import (
    DeviceWrote,
    Event,
    Forked,
    Held,
    IoChecked,
    IoStarted,
    MmCreated,
    MmGone,
    PageCopied,
    PteSet,
    Waited,
)
from uemu.report.watch_screen import WatchScreen
from uemu.report.watch_text import legend_lines, moment_lines
from uemu.report.watching import Watching

BASE = 0x7000
HELD = Held(0, BASE + 512, 7, 512, 512)

BEGIN = [MmCreated(0, "reader[41]", None), PteSet("tid 41", 0, BASE, None, 7, True)]
READ = IoStarted("tid 42", 3, "o_direct", True, False, False, False, (HELD,))
FORK = [
    MmCreated(1, "child 1 of reader[41]", 0),
    PteSet("tid 41", 0, BASE, 7, 7, False),
    PteSet("tid 41", 1, BASE, None, 7, False),
    Forked("tid 41", 0, 1),
]
COPY = [
    PageCopied("tid 41", 0, BASE, 7, 8, "cow_user_page"),
    PteSet("tid 41", 0, BASE, 7, 8, True),
]
LOST = [DeviceWrote(3, 7, 512, b"D" * 512), IoChecked("tid 42", 3, ((8, b"I" * 512),), True)]
STORY = [*BEGIN, READ, *FORK, *COPY, *LOST]


def watched(*events: Event) -> tuple[Watching, list[str]]:
    """What is told of events, and the state after them."""
    watching = Watching()
    told = [f"{m.who}: {m.text}" for event in events for m in watching.see(event)]
    return watching, told


def test_a_lost_read_is_told_decision_by_decision() -> None:
    watching, told = watched(*STORY)
    assert told == [
        "A: is reader[41]",
        "A: o_direct gets pfn 7: io 3, the device writes 512 bytes",
        "A: forks: B is child 1 of A; shares pfn 7, write-protected",
        "A: write fault: copies pfn 7 to pfn 8",
        "device: VIOLATION dma-write-seen-by-other: B sees what the device wrote for A",
        "device: io 3 is over: the device wrote 512 bytes of pfn 7, which A maps no longer: pfn 8"
        " in place of pfn 7",
        "device: VIOLATION lost-dma-write: A does not see what the device wrote into pfn 7: it now"
        " maps pfn 8",
    ]
    assert watching.owners(7) == "B r-"
    assert watching.owners(8) == "A rw"
    assert not watching.flights


def test_a_read_that_arrives_is_no_violation() -> None:
    kept = PteSet("tid 41", 0, BASE, 7, 7, True)
    over = IoChecked("tid 42", 3, ((7, b""),), True)
    _, told = watched(*BEGIN, READ, FORK[1], kept, LOST[0], over)
    assert told[2:] == [
        "A: write fault: keeps pfn 7",
        "device: io 3 is over: the device wrote 512 bytes of pfn 7, which A has there still",
    ]


def test_a_fork_that_copies_says_so_and_one_without_frames_too() -> None:
    early = [
        MmCreated(1, "child", 0),
        PageCopied("tid 41", 1, BASE, 7, 9, "copy_present_page"),
        PteSet("tid 41", 1, BASE, None, 9, True),
        Forked("tid 41", 0, 1),
    ]
    watching, told = watched(*BEGIN, READ, *early, MmCreated(2, "other", 0), Forked("t", 0, 2))
    assert told[2:] == [
        "A: forks: B is child; copies pfn 7 to pfn 9 for B",
        "A: forks: C is other; no frame",
    ]
    assert watching.owners(7) == "A rw, io 3"


def test_who_waits_and_who_ends() -> None:
    _, told = watched(
        *BEGIN,
        Waited("tid 41", 0, "dup_mmap", "directio_sem", False),
        Waited("tid 41", 0, "dup_mmap", "directio_sem", True),
        MmGone(0),
    )
    assert told[1:4] == [
        "A: dup_mmap waits for: directio_sem",
        "A: dup_mmap goes on, after it waited for: directio_sem",
        "device: VIOLATION fork-blocked: dup_mmap waited for I/O: directio_sem",
    ]
    assert told[4:] == ["A: is gone"]


def test_taking_away_what_a_device_holds_is_told_of_the_holder_alone() -> None:
    away = [PteSet("exit", 1, BASE, 7, None, False), PteSet("tid 41", 0, BASE, 7, None, False)]
    _, told = watched(*BEGIN, READ, *FORK, *away)
    assert told[3:] == ["A: takes pfn 7 away, which a device holds"]


def test_letters_go_on_and_places_are_taken_again() -> None:
    watching = Watching()
    for mm in range(30):
        watching.see(MmCreated(mm, f"p{mm}", None))
        if mm < 28:
            watching.see(MmGone(mm))
    assert [(lane.label, lane.slot) for lane in watching.lanes.values()] == [("C2", 0), ("D2", 1)]


def test_lines_have_a_column_for_each_process_and_one_for_devices() -> None:
    watching = Watching()
    lines = [
        line
        for event in STORY
        for moment in watching.see(event)
        for line in moment_lines(watching, moment)
    ]
    assert "uemu: * =  A [tid 42] o_direct gets pfn 7: io 3, the device writes 512 bytes" in lines
    assert "uemu: | =    pfn 7: A rw, io 3" in lines
    assert "uemu: * | =  A [tid 41] write fault: copies pfn 7 to pfn 8" in lines
    assert "uemu: | | =    pfn 7: B r-, io 3; pfn 8: A rw" in lines
    assert any(line.startswith("uemu: | | !  VIOLATION lost-dma-write") for line in lines)
    assert max(map(len, [*lines, *legend_lines()])) < 100


@pytest.mark.parametrize("processes", [1, 40])
def test_the_picture_has_all_parts_and_is_not_too_wide(processes: int) -> None:
    watching = Watching()
    screen = WatchScreen("./reader under linux-2.6.29", watching)
    many = [MmCreated(10 + nr, f"child {nr} of reader[41]" * 4, None) for nr in range(processes)]
    for event in [*many, *BEGIN, READ, *FORK, *COPY]:
        for moment in watching.see(event):
            screen.tell(moment)
    out = io.StringIO()
    Console(file=out, width=99).print(screen.picture())
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) < 100
    text = "\n".join(lines)
    assert "./reader under linux-2.6.29: 3 I/O, 1 in flight" in text
    assert "pfn 7" in text
    assert "◀══ io 3" in text
    assert "o_direct (get): writes 512 bytes, 0 done" in text
    assert "[tid 41] write fault: copies pfn 7 to pfn 8" in text
    assert "write-protected: a store traps" in text
    assert len(lines) < 45
