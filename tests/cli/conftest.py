"""Running commands as a shell would, in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

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
                assert len(line) <= 100 or line.startswith("replay:  ")
        return Done(status, out, err)

    return run
