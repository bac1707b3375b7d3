"""The three streams that every process begins with: closed, full, or read by nobody."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import Final, TextIO

STREAMS: Final = (0, 1, 2)

CANNOT_TAKE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a write gives where the other end is there and takes no more."""


def stand_in() -> None:
    """Put /dev/null where a stream is closed, for this process alone.

    Otherwise the next file that is opened would be stdout. A program that is
    run finds closed what was closed.
    """
    for fd in STREAMS:
        try:
            os.fstat(fd)
        except OSError:
            # The lowest that is free: this one, as those below it are taken. Close-on-exec.
            os.open(os.devnull, os.O_RDWR)
    # Python gives None for a stream that it found closed.
    if sys.stdin is None:
        sys.stdin = _stream(0, "r")
    if sys.stdout is None:
        sys.stdout = _stream(1, "w")
    if sys.stderr is None:
        sys.stderr = _stream(2, "w")


def say(text: str) -> None:
    """Write to stderr, if anybody can be told there."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        give_up(sys.stderr)


def give_up(stream: TextIO) -> None:
    """Drop what a stream still holds and whatever comes: it would fail again at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(null, stream.fileno())
    os.close(null)


def why_not_written(error: OSError) -> str | None:
    """What to tell of an error that writing to a stream gave; None: it came of something else."""
    # Who opened a file by name has said which; a stream has none.
    if error.errno in CANNOT_TAKE and error.filename is None:
        return f"cannot write the output: {error.strerror}"
    return None


def _stream(fd: int, mode: str) -> TextIO:
    file = io.FileIO(fd, mode, closefd=False)
    return io.TextIOWrapper(file, "utf-8", "backslashreplace", write_through=True)
