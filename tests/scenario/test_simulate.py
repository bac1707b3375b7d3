"""Telling a scenario in its canonical order: turns, waits, what blocks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.common import made_up
from uemu.abi import PAGE_SIZE, PROT_READ
from uemu.mm.mm_struct import MmStruct
from uemu.mm.pte import Pte
from uemu.mm.vma import Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.scenario.actions import DirectWrite, Fork, Load, Mprotect, Signal, Store, WaitFor
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario, Script, Stage
from uemu.scenario.simulate import simulate
from uemu.scenario.verdict import Verdict
from uemu.step import Cpu, Op, Step

Text = Callable[[Stage], Script]


def storing(*texts: bytes) -> Text:
    """A script that stores one text after the other."""

    def script(stage: Stage) -> Script:
        for text in texts:
            yield Store(stage.buf, text)

    return script


def loading(times: int) -> Text:
    """A script that loads a byte so many times."""

    def script(stage: Stage) -> Script:
        for _ in range(times):
            yield Load(stage.buf, 1)

    return script


def test_a_turn_is_one_action_to_its_end() -> None:
    verdict = simulate(made_up("b a b a b", a=storing(b"1", b"2"), b=loading(3)), "linux-2.6.29")
    assert verdict.seen == (("b", b"I"), ("b", b"1"), ("b", b"2"))


def test_waits_before_and_signals_after_an_action_belong_to_its_turn() -> None:
    def a(stage: Stage) -> Script:
        yield WaitFor("go")
        yield Store(stage.buf, b"1")
        yield Signal("stored")
        yield Store(stage.buf, b"2")

    def b(stage: Stage) -> Script:
        yield Signal("go")
        yield Load(stage.buf, 1)
        yield WaitFor("stored")
        yield Load(stage.buf, 1)

    assert simulate(made_up("b a b a", a=a, b=b), "linux-2.6.29").seen == (("b", b"I"), ("b", b"1"))


def test_a_turn_whose_wait_is_not_over_is_parked_and_taken_later() -> None:
    def a(stage: Stage) -> Script:
        yield WaitFor("go")
        yield Load(stage.buf, 1)

    def b(stage: Stage) -> Script:
        yield Store(stage.buf, b"1")
        yield Signal("go")
        yield Store(stage.buf, b"2")

    verdict = simulate(made_up("a b b", a=a, b=b), "linux-2.6.29")
    assert verdict.seen == (("a", b"1"),)
    assert verdict.kinds == frozenset()


def test_an_order_that_names_a_thread_too_often_is_refused() -> None:
    with pytest.raises(ValueError, match="has 'a' once too often"):
        simulate(made_up("a a", a=storing(b"1")), "linux-2.6.29")


def test_an_order_that_leaves_a_thread_unfinished_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves b unfinished"):
        simulate(made_up("a", a=storing(b"1"), b=storing(b"2")), "linux-2.6.29")


def test_an_order_that_names_a_child_before_its_fork_is_refused() -> None:
    def fork(stage: Stage) -> Script:
        yield Fork("child")

    with pytest.raises(ValueError, match="has 'child' before it is there"):
        simulate(made_up("child fork", fork=fork, child=storing(b"C")), "linux-2.6.29")


class ForkWaitsForIo(Linux2_6_29):
    """A lock policy in small: fork waits until nobody else holds the page."""

    def copy_present_pte(
        self, cpu: Cpu, src: MmStruct, dst: MmStruct, vma: Vma, base: int
    ) -> Op[None]:
        pte = src.pte(base).peek()
        assert isinstance(pte, Pte)
        page = self.mech.page_of(pte)
        yield Step("copy_one_pte", "io_sem", lambda: page.refcount.peek() == page.mapcount.peek())
        yield from super().copy_present_pte(cpu, src, dst, vma, base)


def test_a_fork_that_waited_for_io_and_went_on_is_a_violation() -> None:
    told = SCENARIOS["lost-read-no-child-write"]
    verdict = simulate(told, ForkWaitsForIo())
    assert verdict.kinds == {"fork-blocked"}
    assert "io_sem" in verdict.violations[0].message


def test_a_child_that_waits_for_its_fork_gets_its_turn_afterwards() -> None:
    verdict = simulate(SCENARIOS["child-corrupted"], ForkWaitsForIo())
    assert verdict.kinds == {"fork-blocked"}
    assert verdict.seen == (("child", b"D" * 512),)


def test_a_fork_that_waits_for_io_that_nobody_completes_is_a_deadlock() -> None:
    told = SCENARIOS["lost-read-no-child-write"]
    never = Scenario(told.name, told.summary, told.setup, told.threads, told.children, "io fork")
    verdict = simulate(never, ForkWaitsForIo())
    assert verdict.kinds == {"deadlock"}
    assert verdict.violations[0].message.startswith("fork waits for ever in copy_one_pte")


def test_a_rule_of_the_kernel_that_breaks_is_a_verdict() -> None:
    def io(stage: Stage) -> Script:
        yield Mprotect(stage.buf, PAGE_SIZE, PROT_READ)
        yield DirectWrite(stage.buf, 512)

    verdict = simulate(made_up("io io", io=io), "arcangeli-2009-v2")
    assert verdict.kinds == {"livelock"}
    assert simulate(made_up("io io", io=io), "linux-2.6.29").kinds == frozenset()


def test_a_verdict_has_each_kind_once() -> None:
    verdict = simulate(SCENARIOS["two-readers-one-page"], "linux-2.6.29")
    assert isinstance(verdict, Verdict)
    assert verdict.kinds == {violation.kind for violation in verdict.violations}
