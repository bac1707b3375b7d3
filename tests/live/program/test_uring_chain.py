"""Linked requests: in which order they begin, what cancels them, and what the program is told."""

from __future__ import annotations

import errno
from functools import partial

import pytest

from uemu.host.procfs import ProcessMemory
from uemu.live.program import uring_abi as abi
from uemu.live.program.tasks import ProgramMm, ProgramProcess, Task
from uemu.live.program.uring_abi import Sqe
from uemu.live.program.uring_chain import Chain
from uemu.live.program.uring_request import Done, Work
from uemu.mm.mm_struct import MmStruct
from uemu.step import Cpu

LINK, HARDLINK, SKIP = abi.LINK, abi.HARDLINK, abi.CQE_SKIP_SUCCESS
CANCELED = -errno.ECANCELED


class Requests:
    """Requests that end when a test says so.

    Attributes:
        begun: those under way, and whom to tell.
        told: user data and result of each completion.
        dropped: those given back.
        ready: how often the next one was to begin.
    """

    def __init__(self, *flags: int, whole: int = 512) -> None:
        self.begun: dict[int, Done] = {}
        self.told: list[tuple[int, int]] = []
        self.dropped: list[int] = []
        self.ready = 0
        self.mm = ProgramMm(MmStruct(0, "program"), ProcessMemory(0), 1)
        self.task = Task(1, ProgramProcess(1), self.mm, Cpu("task"))
        works = [
            Work(
                Sqe(abi.READ, each, 0, 0, 0, 0, 0, 0, number, 0, 0, 0),
                partial(self._begin, number),
                partial(self.dropped.append, number),
                whole,
            )
            for number, each in enumerate(flags)
        ]
        self.chain = Chain(self.mm, works, self._post, self._is_ready)
        self.chain.go_on(self.task)

    def _begin(self, number: int, task: Task, done: Done) -> None:
        self.begun[number] = done

    def _post(self, sqe: Sqe, result: int) -> None:
        self.told.append((sqe.user_data, result))

    def _is_ready(self, chain: Chain) -> None:
        self.ready += 1

    def end(self, number: int, result: int = 512) -> None:
        """One ends, and if another was to begin, it does."""
        before = self.ready
        self.begun.pop(number)(result)
        if self.ready > before:
            self.chain.go_on(self.task)


def test_each_begins_when_the_one_before_has_ended() -> None:
    requests = Requests(LINK, LINK, 0)
    for number in range(3):
        assert list(requests.begun) == [number]
        requests.end(number)
    assert requests.told == [(0, 512), (1, 512), (2, 512)]
    assert (requests.dropped, requests.ready) == ([], 2)


@pytest.mark.parametrize("result", [0, 511, -errno.EIO])
def test_a_failure_or_a_short_read_cancels_the_rest(result: int) -> None:
    requests = Requests(LINK, LINK, 0)
    requests.end(0, result)
    assert requests.told == [(0, result), (1, CANCELED), (2, CANCELED)]
    assert (requests.dropped, requests.begun) == ([1, 2], {})


def test_a_hard_link_holds() -> None:
    requests = Requests(HARDLINK, LINK, 0)
    requests.end(0, -errno.EIO)
    assert (list(requests.begun), requests.dropped) == ([1], [])


def test_success_is_not_told_if_that_is_asked_for_and_failure_is_told_once() -> None:
    requests = Requests(LINK | SKIP, LINK | SKIP, 0)
    requests.end(0)
    assert requests.told == []
    requests.end(1, -errno.EIO)
    assert (requests.told, requests.dropped) == ([(1, -errno.EIO)], [2])


def test_what_ends_twice_is_told_once() -> None:
    requests = Requests(0)
    done = requests.begun[0]
    done(512)
    done(512)
    assert requests.told == [(0, 512)]


def test_who_dies_in_the_middle_leaves_nothing_begun_or_kept() -> None:
    requests = Requests(LINK, LINK, 0)

    def dies(task: Task, done: Done) -> None:
        raise ProcessLookupError

    requests.chain._works[1] = Work(requests.chain._works[1].sqe, dies, lambda: None)
    requests.begun.pop(0)(512)
    with pytest.raises(ProcessLookupError):
        requests.chain.go_on(requests.task)
    assert requests.dropped == [2]
    assert requests.told == [(0, 512)]
