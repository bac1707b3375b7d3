"""Somebody who takes the page lock over two steps, as reclaim does: an action for tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from uemu.abi import PAGE_MASK
from uemu.mm.page import Page, is_locked, trylock_page, unlock_page
from uemu.mm.pte import Pte
from uemu.scenario.actions import Action
from uemu.scenario.script import Script, Stage
from uemu.scenario.tasks import Task
from uemu.scenario.world import SimulatedWorld
from uemu.step import Op, Step


@dataclass(frozen=True, slots=True)
class LockPage:
    """Lock the page that the process had at ``addr`` after the setup, and unlock it."""

    addr: int


def lock_first_page(stage: Stage) -> Script:
    """Lock the page of the buffer for a while."""
    yield LockPage(stage.buf)  # type: ignore[misc]


class LockingWorld(SimulatedWorld):
    """A simulated world whose scripts may yield `LockPage`."""

    def _set_up(self) -> None:
        super()._set_up()
        mm = self.threads()[0].mm
        self._pages: dict[int, Page] = {}
        for base, cell in mm.ptes.items():
            pte = cell.peek()
            if isinstance(pte, Pte):
                self._pages[base] = self.kernel.mech.page_of(pte)

    def perform(self, task: Task, action: Action) -> Op[Any]:
        """As ever, or hold a page lock."""
        if isinstance(action, LockPage):
            return self._lock(task, self._pages[action.addr & PAGE_MASK])
        return super().perform(task, action)

    def _lock(self, task: Task, page: Page) -> Op[None]:
        cpu, mech = task.cpu, self.kernel.mech
        yield Step("shrink_page_list", "trylock_page", locked=True)
        if page.pfn not in mech.pages or is_locked(cpu, page):
            return
        mech.get_page(cpu, page)  # isolated
        trylock_page(cpu, page)
        yield Step("shrink_page_list", "unlock_page", locked=True)
        unlock_page(cpu, page)
        mech.put_page(cpu, page)
