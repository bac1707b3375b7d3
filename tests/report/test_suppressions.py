"""Suppressions: their form, what they match, and that what is suppressed is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.report.program_runs import LOST, SEEN
from uemu.events import Frame
from uemu.oracle.violations import Violation
from uemu.report.run_report import suppressed_lines
from uemu.report.suppressions import read_suppressions, suppress

STACK = (
    Frame(1, "/usr/lib/libc.so.6", "__libc_pread@@GLIBC_2.2.5", "", 0),
    Frame(2, "/opt/store/libstore.so.2", "load_page", "/src/store/page.c", 55),
    Frame(3, "/opt/store/libstore.so.2", "warm_up", "/src/store/warm.c", 7),
    Frame(4, "/usr/bin/server", "main", "/src/server.c", 900),
)
TAKEN = replace(LOST, story=(replace(LOST.story[0], stack=STACK), *LOST.story[1:]))


def file_with(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "known"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def is_suppressed(tmp_path: Path, violation: Violation, *lines: str) -> bool:
    found = read_suppressions(file_with(tmp_path, "{", "name", *lines, "}"))
    kept, counts = suppress([violation], found)
    assert sum(counts.values()) + len(kept) == 1
    return not kept


@pytest.mark.parametrize(
    "lines",
    [
        ("uemu:lost-dma-write",),
        ("uemu:*",),
        ("uemu:foreign-dma-read, lost-*",),
        ("uemu:lost-dma-write", "fun:__libc_pread"),
        ("uemu:lost-dma-write", "fun:*pread*", "fun:load_page"),
        ("uemu:lost-dma-write", "...", "fun:load_page"),
        ("uemu:lost-dma-write", "...", "src:page.c:55"),
        ("uemu:lost-dma-write", "...", "src:/src/store/*"),
        ("uemu:lost-dma-write", "...", "src:page.c", "...", "fun:main"),
        ("uemu:lost-dma-write", "obj:libc.so.6", "obj:libstore.so*"),
        ("uemu:lost-dma-write", "...", "obj:*/libstore.so*", "...", "obj:/usr/bin/server", "..."),
    ],
)
def test_what_is_matched(lines: tuple[str, ...], tmp_path: Path) -> None:
    assert is_suppressed(tmp_path, TAKEN, *lines)


@pytest.mark.parametrize(
    "lines",
    [
        ("uemu:dma-write-seen-by-other",),
        ("uemu:lost-dma-write", "fun:load_page"),
        ("uemu:lost-dma-write", "fun:__libc_pread", "fun:warm_up"),
        ("uemu:lost-dma-write", "...", "src:page.c:56"),
        ("uemu:lost-dma-write", "...", "fun:warm_up", "fun:load_page"),
        ("uemu:lost-dma-write", "...", "fun:main", "fun:*"),
        ("uemu:lost-dma-write", "obj:/lib/libc.so.6"),
        ("uemu:lost-dma-write", "...", "fun:LOAD_PAGE"),
    ],
)
def test_what_is_not_matched(lines: tuple[str, ...], tmp_path: Path) -> None:
    assert not is_suppressed(tmp_path, TAKEN, *lines)


def test_who_has_no_stack_is_matched_by_the_kind_alone(tmp_path: Path) -> None:
    assert is_suppressed(tmp_path, LOST, "uemu:lost-dma-write")
    assert is_suppressed(tmp_path, LOST, "uemu:lost-dma-write", "...")
    assert not is_suppressed(tmp_path, LOST, "uemu:lost-dma-write", "fun:*")


def test_several_are_counted_by_name_and_the_first_that_matches_has_it(tmp_path: Path) -> None:
    path = file_with(
        tmp_path,
        "# what we know of",
        "{",
        "  the warm-up",
        "  uemu:lost-dma-write",
        "  ...",
        "  fun:warm_up",
        "}",
        "",
        "{",
        "  all of them",
        "  uemu:*",
        "}",
    )
    kept, counts = suppress([TAKEN, LOST, SEEN, TAKEN], read_suppressions(path))
    assert kept == []
    assert counts == {"the warm-up": 2, "all of them": 2}
    assert suppressed_lines(counts) == [
        "uemu: 4 suppressed: 2 by 'all of them', 2 by 'the warm-up'"
    ]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["name"], "known:1: 'name' where a suppression begins"),
        (["{", "name", "uemu:livelock"], "the last suppression has no '}'"),
        (["{", "name", "}"], "known:3: a suppression has a name and a line with uemu:KIND"),
        (["{", "name", "Memcheck:Cond", "}"], "known:3: 'Memcheck:Cond' is not uemu:KIND"),
        (["{", "name", "uemu:lost-read", "}"], "known:3: no violation is called 'lost-read'"),
        (["{", "name", "uemu:livelock", "func:x", "}"], "known:4: 'func:x' is none of fun:, src:"),
        (["{", "name", "uemu:livelock", "fun:", "}"], "known:4: 'fun:' is none of"),
    ],
)
def test_what_is_not_of_that_form_is_said_with_its_line(
    lines: list[str], why: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="known") as refused:
        read_suppressions(file_with(tmp_path, *lines))
    assert why in str(refused.value)
