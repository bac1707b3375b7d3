"""Functions in words, and which of a stack is the program's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from uemu.events import Frame

LIBC: Final = ("libc.", "libc-", "libpthread", "ld-linux", "ld-musl")
"""How the files of a C library are called."""


def is_of_libc(frame: Frame) -> bool:
    """Whether a function is the C library's."""
    return os.path.basename(frame.module).startswith(LIBC)


def own_frame(stack: Sequence[Frame]) -> Frame | None:
    """The innermost function that has a source and is no C library's."""
    return next((frame for frame in stack if frame.file and not is_of_libc(frame)), None)


def function_of(frame: Frame) -> str:
    """Its name, without the version that a linker gave it."""
    return frame.function.partition("@")[0]


def frame_text(frame: Frame) -> str:
    """A frame in words: its function and where that is."""
    function = function_of(frame) or f"{frame.pc:#x}"
    if frame.file:
        return f"{function} ({os.path.basename(frame.file)}:{frame.line})"
    return f"{function} (in {os.path.basename(frame.module)})" if frame.module else function
