"""The remedies for one violation: with its addresses, and without those that would not help."""

from __future__ import annotations

from dataclasses import replace

import pytest

from uemu.oracle.fitting import fitting
from uemu.oracle.held import HeldBuffer
from uemu.oracle.remedies import ADVICE
from uemu.oracle.violations import KINDS, Violation

HALF = HeldBuffer(0x1200, 0x1A00, "o_direct", False, False)
WHOLE = HeldBuffer(0x1000, 0x3000, "o_direct", False, False)


def remedies(held: HeldBuffer | None, kind: str = "lost-dma-write") -> dict[str, str]:
    """Names and texts."""
    return dict(fitting(Violation(kind, 0, 0x1200, 8, 0, "", (), buffer=held)))


def test_the_range_is_exact_and_what_the_child_lacks_is_said() -> None:
    text = remedies(HALF)["MADV_DONTFORK"]
    assert "madvise(0x1000, 4096, MADV_DONTFORK)" in text
    assert "the 512 bytes before it and the 1536 bytes after it: whatever is there" in text
    text = remedies(WHOLE)["MADV_DONTFORK"]
    assert "madvise(0x1000, 8192, MADV_DONTFORK)" in text
    assert "nothing but the buffer" in text


def test_who_has_whole_pages_is_not_told_to_take_some() -> None:
    assert "give it 4096 bytes instead of 2048" in remedies(HALF)["whole pages"]
    assert "whole pages" not in remedies(WHOLE)
    assert "whole pages" not in remedies(HALF, "dma-write-seen-by-other")


def test_a_stack_is_not_left_out_of_a_fork() -> None:
    on_stack = remedies(replace(HALF, memory="stack"))
    assert "the child runs on this stack" in on_stack["MADV_DONTFORK"]
    assert "madvise(0x" not in on_stack["MADV_DONTFORK"]
    assert "MADV_WIPEONFORK" not in on_stack


@pytest.mark.parametrize(
    ("memory", "is_offered"),
    [("anonymous", True), ("heap", True), ("", True), ("file", False), ("variable", False)],
)
def test_only_anonymous_memory_can_be_wiped(memory: str, is_offered: bool) -> None:
    assert ("MADV_WIPEONFORK" in remedies(replace(HALF, memory=memory))) is is_offered


@pytest.mark.parametrize(
    ("api", "pinned", "name", "words"),
    [
        ("o_direct", False, "a newer kernel", "Linux 6.5 O_DIRECT pins"),
        ("rdma", False, "FOLL_PIN in the driver", "pin_user_pages() where it has them from"),
        ("rdma", True, "a newer kernel", "the pages were pinned"),
        ("io_uring", False, "a newer kernel", "one where a registration is a pin"),
    ],
)
def test_who_got_pages_is_to_pin_them(api: str, pinned: bool, name: str, words: str) -> None:
    assert words in remedies(replace(HALF, api=api, pinned=pinned))[name]


def test_vmsplice_is_told_of_no_kernel_that_pins_for_there_is_none() -> None:
    found = remedies(replace(WHOLE, api="vmsplice"))
    assert "MADV_DONTFORK" in found
    assert not any("pin" in text for text in found.values())


def test_a_read_of_foreign_bytes_names_the_older_of_the_newer_kernels() -> None:
    found = remedies(WHOLE, "foreign-dma-read")
    assert "since v5.8" in found["a newer kernel"]
    assert list(found).count("a newer kernel") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_buffer_the_general_advice_is_given(kind: str) -> None:
    assert remedies(None, kind) == {each.name: each.text for each in ADVICE[kind].remedies}
    assert remedies(HALF, kind)
