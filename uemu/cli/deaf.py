"""Leaving Ctrl-C to the program that runs: the terminal sends it to both."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Final

KEYS: Final = (signal.SIGINT, signal.SIGQUIT)
"""What a terminal sends for Ctrl-C and Ctrl-\\."""


class Deaf:
    """A span in which these signals end nothing here.

    They get a handler that does nothing, for it is gone after execve; what
    is ignored stays ignored there, and so is left alone.

    Attributes:
        heard: whether one came.
    """

    def __init__(self) -> None:
        self.heard = False
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Deaf:
        for number in KEYS:
            before = signal.getsignal(number)
            # None: a handler that is not Python's, which could not be put back.
            if before is not None and before != signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.heard = True
