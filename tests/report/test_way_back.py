"""The lines that end every report of a violation."""

from __future__ import annotations

from uemu.report.way_back import replay_command, run_command, way_back


def test_the_way_back_is_a_command_to_paste() -> None:
    command = replay_command("lost-read", "linux-2.6.29", "uemu1:01122002")
    assert way_back("lost-read", "linux-2.6.29", {"lost-dma-write"}, command) == [
        "lost-dma-write under linux-2.6.29 in lost-read",
        "replay:  uemu replay lost-read --policy linux-2.6.29 uemu1:01122002",
    ]


def test_what_changes_the_world_is_part_of_the_command() -> None:
    command = replay_command("x", "p:v", "uemu1:0", ipi_waits_for_gup_fast=False)
    assert command == "uemu replay x --policy p:v --no-ipi-wait uemu1:0"


def test_a_program_is_run_again_with_its_words_as_a_shell_takes_them() -> None:
    command = run_command(
        ["sh", "-c", "echo $$; ls"], "linux-6.5", dma="held", seed=3, hold_ms=1000
    )
    assert command == (
        "uemu run --policy linux-6.5 --dma held --seed 3 --hold-ms 1000 -- sh -c 'echo $$; ls'"
    )
