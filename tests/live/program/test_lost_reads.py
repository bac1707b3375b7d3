"""Programs that lose data under an old kernel, unmodified, on their first run.

Each has its negative controls: kernels that protect, memory that fork leaves
out, a child that is spawned and not forked, buffers that share no page.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.program.running import uemu_run

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

Program = Callable[[str], Path]

OLD = "linux-2.6.29"
PROTECTING = ("linux-6.5", "arcangeli-2009-v2")

LOSSES = {
    "lost_read": {"lost-dma-write", "dma-write-seen-by-other"},
    "aio": {"lost-dma-write", "dma-write-seen-by-other"},
    "reverse_race": {"foreign-dma-read"},
    "registered": {"lost-dma-write", "dma-write-seen-by-other"},
}


NAMES = [
    pytest.param(name, marks=pytest.mark.needs_kernel("io_uring") if name == "registered" else ())
    for name in LOSSES
]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_run_loses_data_under_2_6_29(
    name: str, demo_program: Program, tmp_path: Path
) -> None:
    ran = uemu_run(tmp_path, demo_program(name), policy=OLD)
    assert ran.status == 1, ran.err
    assert "bytes are wrong" in ran.out
    assert ran.kinds == LOSSES[name]


@pytest.mark.parametrize("policy", PROTECTING)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_where_fork_or_gup_protects(
    name: str, policy: str, demo_program: Program, tmp_path: Path
) -> None:
    ran = uemu_run(tmp_path, demo_program(name), policy=policy)
    assert (ran.status, ran.kinds) == (0, set()), ran.err
    assert ran.json["stats"]["transfers_over_fork"] > 0


LEAK = "the child has read the secret"


@pytest.mark.parametrize(
    ("policy", "options", "leaks"),
    [
        (OLD, (), True),
        ("linux-4.19", (), True),
        ("linux-5.8", (), False),
        ("linux-6.5", (), False),
        (OLD, ("-d",), False),
        (OLD, ("-p",), False),
    ],
)
def test_a_child_reads_a_secret_out_of_a_pipe_until_gup_breaks_cow_first(
    policy: str, options: tuple[str, ...], leaks: bool, demo_program: Program, tmp_path: Path
) -> None:
    ran = uemu_run(tmp_path, demo_program("leak"), *options, policy=policy)
    assert (ran.status, LEAK in ran.out) == (int(leaks), leaks), ran.err
    assert ran.kinds == ({"secret-leak"} if leaks else set())
    # A child that does not have the page can give none to a pipe.
    assert ran.json["stats"]["transfers_over_fork"] == ("-d" not in options)


@pytest.mark.parametrize("policy", ["piggin-2009-vma", "piggin-2009-page:first"])
def test_what_a_policy_never_frees_is_told_when_the_program_is_over(
    policy: str, demo_program: Program, tmp_path: Path
) -> None:
    ran = uemu_run(tmp_path, demo_program("lost_read"), policy=policy)
    assert (ran.status, ran.kinds) == (0, {"refcount-leak"}), ran.err
    (leak,) = ran.json["violations"]
    assert "pages are never freed" in leak["message"]


@pytest.mark.parametrize(
    ("name", "option"),
    [
        *((name, "-d") for name in LOSSES),
        *((name, "-fspawn") for name in LOSSES),
        ("lost_read", "-p"),
        ("aio", "-p"),
        ("registered", "-p"),
    ],
)
def test_the_remedies_help_under_2_6_29(
    name: str, option: str, demo_program: Program, tmp_path: Path
) -> None:
    ran = uemu_run(tmp_path, demo_program(name), option, policy=OLD)
    assert ran.status == 0, ran.out + ran.err
    assert not ran.kinds & {"lost-dma-write", "foreign-dma-read"}


def test_the_story_names_the_page_the_fork_and_the_writer(
    demo_program: Program, tmp_path: Path
) -> None:
    ran = uemu_run(tmp_path, demo_program("aio"), policy=OLD)
    (lost,) = (each for each in ran.json["violations"] if each["kind"] == "lost-dma-write")
    assert lost["pfn"] is not None
    assert lost["pid"] == lost["story"][0]["pid"]
    events = [line["event"] for line in lost["story"]]
    order = [events.index(event) for event in ("got", "forked", "copied", "left", "device-wrote")]
    assert order == sorted(order)
    writer = lost["story"][events.index("left")]
    assert writer["tid"] is not None
    assert writer["address"] <= lost["address"] < writer["address"] + 4096


def test_a_device_that_is_at_once_done_loses_nothing(demo_program: Program, tmp_path: Path) -> None:
    ran = uemu_run(
        tmp_path, demo_program("aio"), policy=OLD, options=("--dma", "immediate")
    )  # fmt: skip
    assert (ran.status, ran.kinds) == (0, set())


def test_random_devices_do_as_their_seed_says(demo_program: Program, tmp_path: Path) -> None:
    found = set()
    for seed in range(8):
        options = ("--dma", "random", "--seed", str(seed))
        ran = uemu_run(tmp_path, demo_program("aio"), policy=OLD, options=options)
        assert ran.status == (1 if "lost-dma-write" in ran.kinds else 0)
        found.add(ran.status)
    assert found == {0, 1}


def test_a_violation_makes_the_exit_status_that_was_asked_for(
    demo_program: Program, tmp_path: Path
) -> None:
    options = ("--error-exitcode", "77")
    assert uemu_run(tmp_path, demo_program("aio"), policy=OLD, options=options).status == 77
    clean = uemu_run(tmp_path, demo_program("aio"), policy="linux-6.5", options=options)
    assert clean.status == 0


def test_the_trace_has_every_event(demo_program: Program, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    uemu_run(tmp_path, demo_program("aio"), policy=OLD, options=("--trace", str(trace)))
    lines = trace.read_text()
    for event in ("mm_created", "io_started", "forked", "page_copied", "device_wrote"):
        assert f"{event}(" in lines
