"""One search among many workers, through the `Executor` of concurrent.futures.

A worker runs a slice of a search and gives back what is left. Whenever there is
less to do than there are workers, what came back is divided (`split`). A worker
that dies takes nothing along: its slice was not counted yet, and is given to
another one, as it was. Which executor that is, processes here or machines
elsewhere, the caller decides: this file starts none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import dataclass

from uemu.errors import HostError
from uemu.explore.result import Exploration
from uemu.explore.search import Report, Search, Slice, work
from uemu.explore.split import Splitter

HEAD_START_S = 0.5
"""So long the caller searches alone: what is through by then needs no workers."""

MOST_DEATHS = 5
"""So often in a row a worker may die without that another one reports."""

GRACE_S = 10.0
"""So long an interrupted exploration waits for the slices that are being run."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Who runs the slices.

    Attributes:
        start: starts an executor; called again when one broke.
        number: how many slices are run at the same time.
        lost: what a future raises whose worker died.
        head_start_s: how long the caller searches alone before.
        slice_executions, slice_s: how much a worker runs before it reports.
    """

    start: Callable[[], Executor]
    number: int
    lost: tuple[type[BaseException], ...] = (BrokenExecutor, CancelledError)
    head_start_s: float = HEAD_START_S
    slice_executions: int = 1_000
    slice_s: float = 0.5


class Sharing:
    """A search that is shared out.

    Attributes:
        left: parts that nobody runs.
        running: parts that are being run, with the executions each may take.
    """

    def __init__(
        self,
        search: Search,
        splitter: Splitter,
        workers: Workers,
        found: Exploration,
        *,
        max_schedules: int | None = None,
        twice: int = 0,
    ) -> None:
        self.splitter = splitter
        self.workers = workers
        self.found = found
        self.max_schedules = max_schedules
        self.twice = twice
        self.left: deque[Search] = deque([search])
        self.running: dict[Future[Report], tuple[Search, int]] = {}
        self._deaths_in_a_row = 0
        self._divide(search)

    def run(self, goes_on: Callable[[], bool]) -> bool:
        """Run it to its end; whether nothing is left.

        Args:
            goes_on: called after each report; False ends it.

        Raises:
            HostError: workers die again and again.
            KeyboardInterrupt: what was being run is counted nevertheless.
        """
        executor = self.workers.start()
        try:
            while True:
                alive = self._submit(executor)
                if alive:
                    if not self.running:
                        break
                    done, _ = wait_for(self.running, return_when=FIRST_COMPLETED)
                    for future in done:
                        alive = self._collect(future) and alive
                if not alive:
                    executor = self._start_again(executor)
                if not goes_on():
                    break
            return not (self.left or self.running)
        except KeyboardInterrupt:
            self._hurry()
            raise
        finally:
            for future in self.running:
                future.cancel()
            executor.shutdown(wait=True)

    def _submit(self, executor: Executor) -> bool:
        """Give out slices; False if a worker died meanwhile."""
        # One more than there are workers: none shall wait for us.
        while self.left and len(self.running) <= self.workers.number:
            executions = self._allowed()
            if executions < 1:
                break
            portion = Slice(executions, self.workers.slice_s, self.twice)
            search = self.left.popleft()
            try:
                future = executor.submit(work, search, portion)
            except self.workers.lost:
                self.left.appendleft(search)
                return False
            self.running[future] = search, executions
        return True

    def _allowed(self) -> int:
        """How many executions the next slice may take."""
        if self.max_schedules is None:
            return self.workers.slice_executions
        given = sum(executions for _, executions in self.running.values())
        left = self.max_schedules - self.found.executions - given
        return min(self.workers.slice_executions, left)

    def _collect(self, future: Future[Report]) -> bool:
        """Count what a slice has found; False if its worker died."""
        search, _ = self.running.pop(future)
        try:
            report = future.result()
        except self.workers.lost:
            self.left.appendleft(search)
            return False
        self._deaths_in_a_row = 0
        self.found.merge(report.tally)
        self.left += self.splitter.learn(report.search)
        if not report.finished:
            self.left.append(report.search)
            self._divide(report.search)
        return True

    def _divide(self, search: Search) -> None:
        while len(self.left) < self.workers.number:
            parts = self.splitter.divide(search)
            if not parts:
                return
            self.left += parts

    def _start_again(self, executor: Executor) -> Executor:
        """Another executor in place of one that lost a worker."""
        self.found.deaths += 1
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row == MOST_DEATHS:
            raise HostError(
                "exploring with several workers",
                f"{MOST_DEATHS} of them died one after the other",
                "Look for what kills them (out of memory?), or use --jobs 1.",
            )
        if self.running:
            wait_for(self.running)
            for future in list(self.running):
                self._collect(future)
        executor.shutdown(wait=True)
        return self.workers.start()

    def _hurry(self) -> None:
        """Count what is being run; what has not begun is left."""
        begun = [future for future in self.running if not future.cancel()]
        with suppress(KeyboardInterrupt):
            done, _ = wait_for(begun, timeout=GRACE_S)
            for future in done:
                with suppress(*self.workers.lost):
                    self.found.merge(future.result().tally)
