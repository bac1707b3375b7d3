"""The front: commands, versions, and which exit status an error becomes."""

from __future__ import annotations

import argparse

import pytest

from tests.cli.conftest import Uemu
from uemu.cli import main as front
from uemu.cli import policies
from uemu.cli.main import COMMANDS
from uemu.cli.parser import UsageError
from uemu.errors import Fault, HostError, InvariantError


def test_help_names_every_command(uemu: Uemu) -> None:
    done = uemu("--help")
    assert done.status == 0
    for command in (
        "run",
        "check",
        "demo",
        "policies",
        "scenarios",
        "explore",
        "replay",
        "matrix",
        "claims",
        "explain",
        "doctor",
    ):
        assert f"\n    {command}" in done.out
        assert uemu(command, "--help").out.startswith(f"usage: uemu {command}")


def test_version(uemu: Uemu) -> None:
    done = uemu("--version")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("uemu ")


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["polices"], "invalid choice: 'polices'"),
        (["policies", "--jso"], "unrecognized arguments: --jso"),
        (["policies", "extra"], "unrecognized arguments: extra"),
        (["explore"], "the following arguments are required: SCENARIO"),
        (["explore", "lost-read", "--policy"], "argument --policy: expected one argument"),
    ],
)
def test_wrong_use_is_said_in_a_line(uemu: Uemu, argv: list[str], why: str) -> None:
    done = uemu(*argv)
    assert (done.status, done.out) == (2, "")
    usage, error = done.err.split("uemu: error: ")
    # The command's own, where there is one: it is what helps.
    assert usage.startswith(" ".join(["usage: uemu", *(a for a in argv[:1] if a in COMMANDS)]))
    assert why in error


@pytest.mark.parametrize(
    ("error", "status", "lines"),
    [
        (UsageError("no such thing"), 2, ["uemu: error: no such thing"]),
        (
            HostError("tracing", "EPERM", "Set kernel.yama.ptrace_scope to 1"),
            3,
            ["uemu: error: tracing: EPERM", "  remedy: Set kernel.yama.ptrace_scope to 1"],
        ),
        (KeyboardInterrupt(), 130, ["uemu: error: interrupted"]),
        (Fault(14, 0x1000, "a store"), 70, ["uemu: error: Fault: EFAULT at 0x1000: a store"]),
        (
            InvariantError("refcount-leak", "pfn 0"),
            70,
            ["uemu: error: InvariantError: refcount-leak: pfn 0"],
        ),
    ],
)
def test_an_error_becomes_a_status_and_a_message(
    uemu: Uemu,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: int,
    lines: list[str],
) -> None:
    def fail(args: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(policies, "run", fail)
    done = uemu("policies")
    assert (done.status, done.err.splitlines()) == (status, lines)


def test_a_mistake_in_uemu_shows_its_traceback_and_is_no_violation(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(args: argparse.Namespace) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(policies, "run", fail)
    done = uemu("policies")
    assert done.status == front.INTERNAL
    assert "Traceback" in done.err
    assert done.err.splitlines()[-1].startswith("uemu: error: this is a mistake in uemu")
