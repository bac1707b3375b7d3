"""A terminal of its own for what a program writes, while a picture is on the real one.

To the program nothing changes: what was a terminal is one still, of the same
size. What was a file or a pipe is left alone, and so is stdin.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import termios
import threading
from collections.abc import Callable
from typing import Final, TextIO

OUTPUTS: Final = (1, 2)
"""stdout and stderr."""

PROMPT_S: Final = 0.1
"""A line without an end is passed on after so long: it asks somebody."""

JOIN_S: Final = 2.0


class TerminalRelay:
    """Passes lines on that are written to this process's terminal, by whomever.

    Args:
        tell: is given each line, without its end, on a thread of its own.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._kept: dict[int, int] = {}
        self._file: TextIO | None = None
        self._ours = -1
        self._thread: threading.Thread | None = None

    def open(self) -> TextIO:
        """The real terminal, which stays so."""
        self._file = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
        return self._file

    def start(self) -> None:
        """Put the other terminal in the place of the real one."""
        self._ours, theirs = os.openpty()
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(theirs, termios.TCSANOW, termios.tcgetattr(2))
            size = fcntl.ioctl(2, termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        for fd in OUTPUTS:
            if os.isatty(fd):
                self._kept[fd] = os.dup(fd)
                os.dup2(theirs, fd)
        os.close(theirs)
        self._thread = threading.Thread(target=self._pass_on, name="terminal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Put the real one back; whatever was written until now is passed on."""
        for fd, kept in self._kept.items():
            os.dup2(kept, fd)
            os.close(kept)
        self._kept.clear()
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def close(self) -> None:
        """Nothing more is shown."""
        if self._file is not None:
            self._file.close()

    def _pass_on(self) -> None:
        waiting = b""
        while True:
            if waiting and not select.select([self._ours], [], [], PROMPT_S)[0]:
                self._say(waiting)
                waiting = b""
            try:
                data = os.read(self._ours, 1 << 16)
            except OSError:  # EIO: nobody has the other end any more
                data = b""
            if not data:
                break
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                self._say(line)
        if waiting:
            self._say(waiting)
        os.close(self._ours)

    def _say(self, line: bytes) -> None:
        self._tell(line.decode("utf-8", "replace").rstrip("\r"))
