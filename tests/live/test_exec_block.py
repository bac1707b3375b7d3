"""The memory an execve needs: where each pointer leads."""

from __future__ import annotations

import struct

import pytest

from uemu.live.exec_block import ExecBlock

AT = 0x7000


def string_at(block: bytes, addr: int) -> bytes:
    return block[addr - AT :].split(b"\0")[0]


def pointers_at(block: bytes, addr: int) -> list[int]:
    found: list[int] = []
    while pointer := struct.unpack_from("<Q", block, addr - AT + 8 * len(found))[0]:
        found.append(pointer)
    return found


def test_every_pointer_leads_to_its_string() -> None:
    made = ExecBlock(["/bin/sh", "-c", "true"], {"A": "b", "C": ""})
    block = made.laid_out_at(AT)
    (_, number, action, *_), (_, _, length, mask, *_), *_, (_, path, argv, envp, *_) = made.calls(
        AT
    )
    assert number == 17
    assert block[mask - AT : mask - AT + length] == b"\xff" * length
    assert block[action - AT : action - AT + 32] == bytes(32)
    assert string_at(block, path) == b"/bin/sh"
    assert [string_at(block, p) for p in pointers_at(block, argv)] == [b"/bin/sh", b"-c", b"true"]
    assert [string_at(block, p) for p in pointers_at(block, envp)] == [b"A=b", b"C="]


def test_what_takes_more_than_a_page_is_refused() -> None:
    with pytest.raises(ValueError, match="a page is the most"):
        ExecBlock(["x" * 4096], {})


def test_a_string_is_no_list_of_arguments() -> None:
    with pytest.raises(TypeError, match="not a string"):
        ExecBlock("true", {})


def test_an_embedded_null_is_refused() -> None:
    with pytest.raises(ValueError, match="embedded null"):
        ExecBlock(["true", "a\0b"], {})
