"""Those who show a watched run: as lines, or as a picture on a terminal.

A watcher is a context around the run and takes its events in. While it shows
a picture, what the program writes to the terminal passes through a terminal
of its own, and appears above.
"""

from __future__ import annotations

import sys
import threading
from time import monotonic, sleep
from types import TracebackType
from typing import Final, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from uemu.cli.output import LineFile
from uemu.cli.parser import WIDEST
from uemu.cli.terminal_relay import TerminalRelay
from uemu.events import Event
from uemu.report.run_report import prefixed
from uemu.report.watch_screen import WatchScreen
from uemu.report.watch_text import legend_lines, moment_lines
from uemu.report.watching import Watching

DELAY_MS: Final = 150
"""For so long a picture stands still, unless somebody says otherwise ..."""

DELAYED: Final = 100
"""... after so many decisions: the rest of a long run is not slowed down."""

REDRAW_S: Final = 0.05
"""A picture that does not stand still is drawn no more often, but for a violation."""


class Watcher(Protocol):
    """Shows a run."""

    def __enter__(self) -> Watcher: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def event(self, event: Event) -> None:
        """Take the next event in; what runs stands still until this returns."""
        ...


class LineWatcher:
    """Lines on stderr.

    Args:
        delay_ms: after each decision.
    """

    def __init__(self, title: str, delay_ms: int) -> None:
        self._title = title
        self._delay_s = delay_ms / 1000
        self._watching = Watching()
        self._out = LineFile("-")

    def __enter__(self) -> LineWatcher:
        self._say([*prefixed(self._title), *legend_lines()])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def event(self, event: Event) -> None:
        """Say what is decided."""
        for moment in self._watching.see(event):
            self._say(moment_lines(self._watching, moment))
            if self._delay_s:
                sleep(self._delay_s)

    def _say(self, lines: list[str]) -> None:
        for line in lines:
            self._out.line(line)


class ScreenWatcher:
    """A picture on the terminal of stderr.

    Args:
        delay_ms: after each decision; None: `DELAY_MS`, after `DELAYED` of them.
    """

    def __init__(self, title: str, delay_ms: int | None) -> None:
        self._watching = Watching()
        self._screen = WatchScreen(title, self._watching)
        self._delay_s = (DELAY_MS if delay_ms is None else delay_ms) / 1000
        self._left = DELAYED if delay_ms is None else sys.maxsize
        self._drawn = 0.0
        self._lock = threading.Lock()
        self._relay = TerminalRelay(self._above)
        self._console: Console | None = None
        self._live: Live | None = None

    def __enter__(self) -> ScreenWatcher:
        self._console = console = Console(
            file=self._relay.open(), highlight=False, markup=False, emoji=False
        )
        console.width = min(console.width, WIDEST)
        self._live = Live(
            self._screen.picture(), console=console, auto_refresh=False, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._live.start()
        self._relay.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._relay.stop()
        if self._live is not None:
            self._live.stop()
        self._relay.close()

    def event(self, event: Event) -> None:
        """Draw what is decided."""
        with self._lock:
            moments = self._watching.see(event)
            for moment in moments:
                self._screen.tell(moment)
        if not moments:
            return
        stands = self._delay_s > 0 and self._left > 0
        shows = any(moment.violation for moment in moments)
        if stands or shows or monotonic() - self._drawn > REDRAW_S:
            self._draw()
        if stands:
            self._left -= 1
            sleep(self._delay_s)

    def _draw(self) -> None:
        if self._live is not None:
            with self._lock:
                self._live.update(self._screen.picture(), refresh=True)
            self._drawn = monotonic()

    def _above(self, text: str) -> None:
        """What the program wrote: it stands above the picture."""
        if self._console is not None:
            with self._lock:
                self._console.print(Text.from_ansi(text), soft_wrap=True)
