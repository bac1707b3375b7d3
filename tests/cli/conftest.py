"""Running commands as a shell would, in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from tests.cli.made_engine import MadeEngine, MadeOptions
from uemu.cli.main import main


class Done(NamedTuple):
    """A command that ended."""

    status: int
    out: str
    err: str


Uemu = Callable[..., Done]


@pytest.fixture
def uemu(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Uemu:
    """Run ``uemu ARG...`` without a terminal; returns its status, stdout and stderr."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run(*argv: str) -> Done:
        capsys.readouterr()
        status = main(list(argv))
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err
        if not out.startswith("{"):
            for line in (out + err).splitlines():
                # The one line that is made to be pasted is as long as it is.
                assert len(line) <= 100 or line.startswith(("replay:  ", "uemu: replay:  "))
        return Done(status, out, err)

    return run


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MadeEngine:
    """The fake, in place of the engine there is."""
    made = MadeEngine()
    session: Any = ModuleType("uemu.live.program.session")
    session.run_program = made.run_program
    schedule: Any = ModuleType("uemu.live.program.schedule")
    schedule.DmaOptions = MadeOptions
    for module in (session, schedule):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return made
