"""Each demo runs without a terminal, on real processes, and says what it shows."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from uemu.cli.main import main
from uemu_demos.registry import DEMOS
from uemu_demos.telling import readable

pytestmark = pytest.mark.needs_ptrace


def told(capsys: pytest.CaptureFixture[str], name: str, *options: str) -> str:
    """What a demo prints."""
    assert main(["demo", name, "--no-pause", *options]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def told_under(text: str, policy: str) -> str:
    """The part of a demo that is told under a policy."""
    part = text.split(f"under {policy} ")[1]
    return part.split("\nunder ")[0]


@pytest.mark.parametrize("name", DEMOS)
def test_a_demo_is_told_under_the_kernel_that_loses_and_then_under_6_5(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    text = told(capsys, name)
    assert "✗" in told_under(text, "linux-2.6.29")
    assert "✓ no violation" in told_under(text, "linux-6.5")
    assert "In the pictures:" in text
    assert all(len(line) <= 100 for line in text.splitlines())


@pytest.mark.parametrize("name", DEMOS)
def test_a_terminal_of_80_columns_is_wide_enough(name: str) -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, highlight=False)
    assert DEMOS[name].run(console, "linux-2.6.29", False) == 0
    lines = file.getvalue().splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert f"   uemu explore {name} --policy linux-2.6.29" in lines


def test_the_read_is_lost_and_the_child_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "lost-read")
    lost = told_under(text, "linux-2.6.29")
    assert "✗ parent 'IIIIIIIIIIIIIIIIIIIIIIII'  what was there before" in lost
    assert "✗ child  'read from the file; read'  the file's bytes" in lost
    assert "✗ lost-dma-write" in lost
    kept = told_under(text, "linux-6.5")
    assert "✓ parent 'read from the file; read'  the file's bytes" in kept
    assert "✓ child  'IIIIIIIIIIIIIIIIIIIIIIII'  what was there before" in kept


def test_the_file_gets_the_childs_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "reverse-race")
    lost = told_under(text, "linux-2.6.29")
    assert "✗ 'from the child IIIIIIIII'  the child's bytes, in the parent's file" in lost
    assert "✗ foreign-dma-read" in lost
    assert "✓ 'IIIIIIIIIIIIIIIIIIIIIIII'  what the parent wrote" in told_under(text, "linux-6.5")


@pytest.mark.parametrize("name", DEMOS)
def test_a_policy_that_protects_shows_no_loss(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    text = told(capsys, name, "--policy", "arcangeli-2009-v2")
    assert "✗" not in text


def test_6_5_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "lost-read", "--policy", "linux-6.5").count("under linux-6.5 ") == 1


def test_every_sign_of_the_pictures_is_in_the_legend(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "lost-read") + told(capsys, "reverse-race")
    legend, _, pictures = text.partition("under ")
    for sign in ("rw", "r-", "◀══", "◀━━", "━━▶", "pin", "mapping"):
        assert sign in pictures
        assert sign in legend


def test_bytes_are_shown_as_a_person_reads_them() -> None:
    assert readable(b"a\x00\xff~ ") == "a..~ "
