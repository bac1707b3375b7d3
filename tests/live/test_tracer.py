"""The one thread that traces, and how others ask it."""

from __future__ import annotations

import os
import threading

import pytest

from tests.live.processes import fork
from uemu.errors import HostError
from uemu.live.tracer import Tracer


def test_it_answers_from_a_thread_of_its_own() -> None:
    tracer = Tracer()
    one, other = tracer.call(threading.get_ident), tracer.call(threading.get_ident)
    assert one == other != threading.get_ident()
    tracer.close()


def test_what_is_raised_there_is_raised_here() -> None:
    tracer = Tracer()
    with pytest.raises(ZeroDivisionError):
        tracer.call(lambda: 1 // 0)
    assert tracer.call(lambda: 7) == 7
    tracer.close()


def test_it_may_ask_itself() -> None:
    tracer = Tracer()
    assert tracer.call(lambda: tracer.call(lambda: 7)) == 7
    tracer.close()


def test_many_threads_ask_and_each_gets_its_own_answer() -> None:
    tracer = Tracer()
    got: dict[int, list[int]] = {}

    def ask(number: int) -> None:
        got[number] = [tracer.call(lambda i=i: number * 100 + i) for i in range(50)]  # type: ignore[misc]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: [number * 100 + i for i in range(50)] for number in range(8)}
    tracer.close()


def test_it_runs_one_thing_at_a_time() -> None:
    tracer, inside, most = Tracer(), [0], [0]

    def enter() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        os.sched_yield()
        inside[0] -= 1

    threads = [threading.Thread(target=lambda: tracer.call(enter)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    tracer.close()


def test_closed_it_answers_no_more() -> None:
    tracer = Tracer()
    tracer.close()
    with pytest.raises(HostError, match="it is closed") as refused:
        tracer.call(lambda: 7)
    assert refused.value.remedy == "Open another uemu.Machine."
    assert tracer.closed


def test_close_is_no_error_twice_and_ends_the_thread() -> None:
    before = threading.enumerate()
    tracer = Tracer()
    assert threading.enumerate() != before
    tracer.close()
    tracer.close()
    assert threading.enumerate() == before


def test_it_may_close_itself() -> None:
    tracer = Tracer()
    tracer.call(tracer.close)
    assert tracer.closed


def test_it_stays_on_one_cpu_and_leaves_the_caller_where_it_was() -> None:
    before = os.sched_getaffinity(0)
    tracer = Tracer()
    assert len(tracer.call(lambda: os.sched_getaffinity(0))) == 1
    assert os.sched_getaffinity(0) == before
    tracer.close()


def test_in_a_fork_of_the_program_it_says_so_instead_of_waiting_for_ever() -> None:
    tracer = Tracer()
    out, into = os.pipe()
    child = fork()
    if child == 0:
        try:
            tracer.call(lambda: 7)
        except HostError as error:
            os.write(into, error.why.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(into)
    assert (
        os.read(out, 100).decode()
        == f"it belongs to process {os.getpid()}, and this is a fork of it"
    )
    os.close(out)
    assert tracer.call(lambda: 7) == 7
    tracer.close()


def test_it_keeps_nothing_that_it_was_asked() -> None:
    import gc
    import weakref

    class Asked:
        def answer(self) -> int:
            return 7

    tracer, asked = Tracer(), Asked()
    seen = weakref.ref(asked)
    assert tracer.call(asked.answer) == 7
    tracer.call(lambda: None)
    del asked
    gc.collect()
    assert seen() is None
    tracer.close()
