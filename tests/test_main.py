"""The first moments of ``uemu``, while it loads."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from uemu.__main__ import main
from uemu.cli.main import INTERRUPTED


class _Interrupted(ModuleType):
    """A module that is being loaded when somebody presses Ctrl-C."""

    def __getattr__(self, name: str) -> object:
        raise KeyboardInterrupt


def test_ctrl_c_while_it_loads_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uemu.cli.main", _Interrupted("uemu.cli.main"))
    assert main() == INTERRUPTED
    assert capsys.readouterr() == ("", "uemu: error: interrupted\n")
