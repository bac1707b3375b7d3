"""Stacks in lines: what is said of a frame, and which frames say nothing."""

from __future__ import annotations

from uemu.events import Frame
from uemu.oracle.places import frame_text
from uemu.report.stack_lines import MOST, stack_lines

READ = Frame(0x401100, "/usr/bin/reader", "read_once", "../src/reader.c", 55)
PREAD = Frame(0x7F0000, "/usr/lib/libc.so.6", "__pread@@GLIBC_2.2.5", "", 0)
BELOW = Frame(0x7F1000, "/usr/lib/libc.so.6", "start_thread", "", 0)


def test_a_frame_names_its_function_and_where_that_is() -> None:
    assert frame_text(READ) == "read_once (reader.c:55)"
    assert frame_text(PREAD) == "__pread (in libc.so.6)"
    assert frame_text(Frame(0x401100, "/bin/x", "", "", 0)) == "0x401100 (in x)"
    assert frame_text(Frame(0x401100, "", "", "", 0)) == "0x401100"


def test_what_is_below_main_is_left_out() -> None:
    assert stack_lines([PREAD, READ, BELOW, BELOW]) == [
        "at __pread (in libc.so.6)",
        "at read_once (reader.c:55)",
    ]
    assert stack_lines([BELOW]) == ["at start_thread (in libc.so.6)"], "unless it is all there is"


def test_of_many_the_innermost_are_shown() -> None:
    lines = stack_lines([READ] * (MOST + 3))
    assert lines == ["at read_once (reader.c:55)"] * MOST + ["... and 3 more"]
