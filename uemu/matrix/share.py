"""Many cells, one after the other or by several workers.

Cells have nothing to do with each other. The caller runs them itself for a
moment, since most are through at once; what is left goes to workers, one cell
at a time. The cell of a worker that dies is given to another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from time import monotonic

from uemu.errors import HostError
from uemu.explore import Workers
from uemu.matrix.cells import CellName, How
from uemu.matrix.result import Cell
from uemu.matrix.run import run_cell

MOST_DEATHS = 5
"""So often in a row a worker may die without that a cell is run."""

Report = Callable[[Cell], None]


def run_cells(
    names: Iterable[CellName],
    how: How,
    report: Report,
    *,
    workers: Workers | None = None,
    abort: Callable[[Executor], None] = lambda executor: None,
) -> None:
    """Run cells and report each when it is through, in any order.

    Args:
        workers: who takes over if it lasts.
        abort: ends what an executor is at, when somebody will not wait.

    Raises:
        KeyboardInterrupt: what is through was reported.
        HostError: this machine cannot, or workers die again and again.
    """
    left = deque(names)
    end = None if workers is None else monotonic() + workers.head_start_s
    while left and (end is None or monotonic() < end):
        report(run_cell(left.popleft(), how))
    if left and workers is not None:
        _Sharing(left, how, report, workers, abort).run()


class _Sharing:
    """Cells among workers."""

    def __init__(
        self,
        left: deque[CellName],
        how: How,
        report: Report,
        workers: Workers,
        abort: Callable[[Executor], None],
    ) -> None:
        self.left = left
        self.how = how
        self.report = report
        self.workers = workers
        self.abort = abort
        self.running: dict[Future[Cell], CellName] = {}
        self._deaths_in_a_row = 0

    def run(self) -> None:
        """Run them all."""
        while self.left:
            executor = self.workers.start()
            try:
                self._run_on(executor)
            except KeyboardInterrupt:
                self.abort(executor)
                raise
            finally:
                for future in self.running:
                    future.cancel()
                executor.shutdown(wait=True)
            # One that died took along what the others were at.
            self.left.extendleft(self.running.values())
            self.running.clear()

    def _run_on(self, executor: Executor) -> None:
        """Run cells until there are no more, or a worker dies."""
        while self.left or self.running:
            while self.left and len(self.running) <= self.workers.number:
                # One more than there are workers: none shall wait for us.
                name = self.left[0]
                try:
                    future = executor.submit(run_cell, name, self.how)
                except self.workers.lost:
                    return self._died()
                self.running[future] = self.left.popleft()
            done, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    cell = future.result()
                except self.workers.lost:
                    return self._died()
                del self.running[future]
                self._deaths_in_a_row = 0
                self.report(cell)
        return None

    def _died(self) -> None:
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row == MOST_DEATHS:
            raise HostError(
                "running the matrix with several workers",
                f"{MOST_DEATHS} of them died one after the other",
                "Look for what kills them (out of memory?), or use --jobs 1.",
            )
