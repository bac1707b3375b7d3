"""Many runs, counted."""

from __future__ import annotations

from tests.report.program_runs import LOST, SEEN, made_result
from uemu.report.repeat_report import Tally, tally_json, tally_lines


def counted() -> Tally:
    """Four runs, two of them with violations, one ended by a signal."""
    tally = Tally()
    results = [
        made_result(),
        made_result(LOST, SEEN, status=1),
        made_result(status=None, signal=11),
        made_result(LOST, LOST),
    ]
    for seed, result in enumerate(results, start=5):
        tally.add(result, seed)
    return tally


def test_counts_runs_and_not_violations() -> None:
    assert tally_lines(counted(), "linux-2.6.29") == [
        "uemu: 4 runs under linux-2.6.29, 2 with a violation",
        "uemu:   lost-dma-write in 2, dma-write-seen-by-other in 1",
        "uemu:   with the seeds 6, 8",
        "uemu:   exit status 0 in 2, 1 in 1, 139 in 1",
        "uemu: 12 transfers, 8 overlapped a fork, 4 saw a later write to their pages",
    ]
    assert tally_json(counted()) == {
        "runs": 4,
        "violating": 2,
        "seeds": [6, 8],
        "kinds": {"lost-dma-write": 2, "dma-write-seen-by-other": 1},
        "suppressed": {},
        "exits": {"0": 2, "1": 1, "139": 1},
    }


def test_runs_without_violation_say_what_they_tested() -> None:
    tally = Tally()
    tally.add(made_result(over_fork=0), 0)
    assert tally_lines(tally, "linux-6.5") == [
        "uemu: 1 run under linux-6.5, none with a violation",
        "uemu:   exit status 0 in 1",
        "uemu: 3 transfers, 0 overlapped a fork, 0 saw a later write to their pages",
        "uemu: nothing was tested: no fork met a transfer",
    ]


def test_one_run_that_tested_something_is_enough() -> None:
    tally = Tally()
    tally.add(made_result(over_fork=0), 0)
    tally.add(made_result(over_fork=1), 1)
    assert "nothing was tested" not in "".join(tally_lines(tally, "linux-6.5"))


def test_a_kind_is_news_once() -> None:
    tally = Tally()
    news = [tally.add(made_result(*each), 0) for each in ((), (LOST,), (LOST,), (SEEN, LOST))]
    assert news == [False, True, False, True]


def test_of_very_many_seeds_some_are_named() -> None:
    tally = Tally()
    for seed in range(30):
        tally.add(made_result(LOST), seed)
    assert "8, 9 and 20 more" in " ".join(tally_lines(tally, "linux-6.5"))
