"""Every class of event in a line, written out."""

from __future__ import annotations

import inspect

import pytest

from uemu import events
from uemu.events import (
    DeviceRead,
    DeviceWrote,
    Event,
    FaultTaken,
    ForkCopyBegan,
    ForkCopyEnded,
    Forked,
    Held,
    IoChecked,
    IoStarted,
    Loaded,
    MmCreated,
    MmGone,
    Moved,
    PageCopied,
    PageFreed,
    PteSet,
    Seen,
    SharedPageAdded,
    Stored,
    SwappedOut,
    TlbFlushed,
    Unmapped,
    Waited,
)
from uemu.report.trace_line import trace_line

HELD = Held(0, 0x1E00, 7, 3584, 512)
LINES: list[tuple[Event, str]] = [
    (MmCreated(1, "child", 0), 'mm_created(mm=1, name="child", parent=0)'),
    (MmCreated(0, "parent", None), 'mm_created(mm=0, name="parent", parent=NULL)'),
    (MmGone(1), "mm_gone(mm=1)"),
    (Forked("t1", 0, 1), "[t1] forked(mm=0, child=1)"),
    (FaultTaken("t1", 0, 0x1E00, True), "[t1] fault_taken(mm=0, addr=0x1e00, write=true)"),
    (
        PteSet("t1", 0, 0x1000, None, 7, False),
        "[t1] pte_set(mm=0, base=0x1000, old_pfn=NULL, pfn=7, write=false)",
    ),
    (
        PageCopied("t1", 0, 0x1000, 7, 8, "do_wp_page"),
        '[t1] page_copied(mm=0, base=0x1000, src=7, dst=8, fn="do_wp_page")',
    ),
    (
        ForkCopyBegan("t1", 1, 0x1000, 7, 8, b"I"),
        '[t1] fork_copy_began(mm=1, base=0x1000, src=7, dst=8, data="I")',
    ),
    (
        ForkCopyEnded("t1", 1, 0x1000, 7, 8, b"I"),
        '[t1] fork_copy_ended(mm=1, base=0x1000, src=7, dst=8, data="I")',
    ),
    (SharedPageAdded(7), "shared_page_added(pfn=7)"),
    (PageFreed(7), "page_freed(pfn=7)"),
    (
        SwappedOut("t1", 7, 3, b"D", b"I"),
        '[t1] swapped_out(pfn=7, slot=3, frame="D", data="I")',
    ),
    (Unmapped("t1", 0, 0x1000, 0x3000), "[t1] unmapped(mm=0, start=0x1000, end=0x3000)"),
    (
        Moved("t1", 0, 0x1000, 0x3000, 0x9000),
        "[t1] moved(mm=0, start=0x1000, end=0x3000, to=0x9000)",
    ),
    (
        TlbFlushed("t1", 0, "t2", 0x1000, 0x2000),
        '[t1] tlb_flushed(mm=0, target="t2", start=0x1000, end=0x2000)',
    ),
    (Stored("t1", 0, 0x1E00, 7, b"W"), '[t1] stored(mm=0, addr=0x1e00, pfn=7, data="W")'),
    (Loaded("t1", 0, 0x1E00, 7, b"W"), '[t1] loaded(mm=0, addr=0x1e00, pfn=7, data="W")'),
    (Seen(0, 0x1000, 7, b""), 'seen(mm=0, base=0x1000, pfn=7, data="")'),
    (HELD, "held(mm=0, addr=0x1e00, pfn=7, offset=3584, length=512)"),
    (
        IoStarted("t1", 3, "o_direct", True, False, False, True, (HELD,)),
        '[t1] io_started(io=3, api="o_direct", from_device=true, to_device=false,'
        " long_term=false, pinned=true,"
        " held=[{mm=0, addr=0x1e00, pfn=7, offset=3584, length=512}], secondary=false)",
    ),
    (DeviceWrote(3, 7, 3584, b"D"), 'device_wrote(io=3, pfn=7, offset=3584, data="D")'),
    (DeviceRead(3, 7, 3584, b"D"), 'device_read(io=3, pfn=7, offset=3584, data="D")'),
    (
        IoChecked("t1", 3, ((8, b"D"), (None, b"")), True),
        '[t1] io_checked(io=3, seen=[[8, "D"], [NULL, ""]], final=true)',
    ),
    (
        Waited("t1", 0, "dup_mmap", "a pin to end", False),
        '[t1] waited(mm=0, fn="dup_mmap", what="a pin to end", done=false)',
    ),
]


@pytest.mark.parametrize(("event", "line"), LINES, ids=lambda each: type(each).__name__)
def test_an_event_is_a_line(event: Event, line: str) -> None:
    assert trace_line(event) == line


def test_no_class_of_event_is_left_out() -> None:
    classes = {
        each
        for _, each in inspect.getmembers(events, inspect.isclass)
        if hasattr(each, "_fields") and each.__module__ == events.__name__
    }
    assert {type(event) for event, _ in LINES} == classes


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"I" * 32, '"' + "I" * 32 + '"'),
        (b"I" * 33, '"' + "I" * 32 + '"... of 33'),
        (b'a"\\\n\t', r'"a\"\\\n\t"'),
        (b"\0\0\xfa\xff", r'"\0\0\372\377"'),
        (b"\x011", r'"\0011"'),
        (b"\x01a", r'"\1a"'),
    ],
)
def test_bytes_are_quoted_and_cut_as_strace_does(data: bytes, text: str) -> None:
    assert trace_line(DeviceWrote(0, 0, 0, data)).endswith(f"data={text})")


def test_of_a_long_list_some_items_are_shown() -> None:
    line = trace_line(IoChecked("t1", 0, ((7, b""),) * 17, True))
    assert line.count('[7, ""]') == 16
    assert '[7, ""], ...], final=true' in line


def test_a_line_is_one_line_whatever_is_in_it() -> None:
    assert "\n" not in trace_line(Stored("t1", 0, 0, 0, bytes(range(32))))
    assert trace_line(MmCreated(0, "a\nb", None)) == r'mm_created(mm=0, name="a\nb", parent=NULL)'
