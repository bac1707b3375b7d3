"""Stacks in lines, as debuggers write them: ``at function (file:line)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from uemu.events import Frame
from uemu.oracle.places import frame_text, function_of, is_of_libc

MOST: Final = 8
"""Frames that are shown; JSON has them all."""

BELOW_MAIN: Final = frozenset(
    {"_start", "__libc_start_main", "__libc_start_main_impl", "__libc_start_call_main"}
    | {"start_thread", "clone", "__clone", "clone3", "__clone3", "__GI___clone"}
)
"""What called main, or a thread's first function: the same in every program."""


def stack_lines(stack: Sequence[Frame]) -> list[str]:
    """The frames that say something, the innermost first."""
    frames = list(stack)
    while len(frames) > 1 and function_of(frames[-1]) in BELOW_MAIN:
        frames.pop()
    # Of the C library's own, what the program called.
    while len(frames) > 1 and is_of_libc(frames[0]) and is_of_libc(frames[1]):
        frames.pop(0)
    lines = [f"at {frame_text(frame)}" for frame in frames[:MOST]]
    if len(frames) > MOST:
        lines.append(f"... and {len(frames) - MOST} more")
    return lines
