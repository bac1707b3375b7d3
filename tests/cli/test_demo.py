"""``uemu demo``: the list, and what is handed to a demo. The demos have tests of their own."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from rich.console import Console

from tests.cli.conftest import Uemu


class MadeDemo(NamedTuple):
    """A demo that tells what it was given, and ends with 7."""

    name: str
    summary: str

    def run(self, console: Console, policy: str, pause: bool) -> int:
        console.print(f"{self.name} under {policy}, pause {pause}")
        return 7


@pytest.fixture
def _demos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two demos in place of those that are installed."""
    registry: Any = ModuleType("uemu_demos.registry")
    demos = (MadeDemo("lost-read", "who gets the data"), MadeDemo("reverse-race", "whose bytes"))
    registry.DEMOS = {demo.name: demo for demo in demos}
    monkeypatch.setitem(sys.modules, "uemu_demos", ModuleType("uemu_demos"))
    monkeypatch.setitem(sys.modules, "uemu_demos.registry", registry)


@pytest.mark.usefixtures("_demos")
class TestDemo:
    def test_without_a_name_the_demos_are_listed(self, uemu: Uemu) -> None:
        done = uemu("demo")
        assert (done.status, done.err) == (0, "")
        assert done.out == "lost-read     who gets the data\nreverse-race  whose bytes\n"

    def test_a_demo_gets_its_policy_and_no_pause_without_a_terminal(self, uemu: Uemu) -> None:
        assert uemu("demo", "lost-read") == (7, "lost-read under linux-2.6.29, pause False\n", "")
        done = uemu("demo", "lost-read", "--policy", "linux-6.5", "--no-pause")
        assert done.out == "lost-read under linux-6.5, pause False\n"

    def test_its_processes_are_stopped_so_it_takes_every_policy(self, uemu: Uemu) -> None:
        done = uemu("demo", "lost-read", "--policy", "torvalds-2009-directed-cow")
        assert done.out == "lost-read under torvalds-2009-directed-cow, pause False\n"

    def test_an_unknown_demo_names_the_nearest(self, uemu: Uemu) -> None:
        done = uemu("demo", "lost-raed")
        assert (done.status, done.out) == (2, "")
        assert done.err.endswith("unknown demo 'lost-raed'; nearest: lost-read, reverse-race\n")

    def test_an_unknown_policy_names_the_nearest(self, uemu: Uemu) -> None:
        done = uemu("demo", "lost-read", "--policy", "linux-6,5")
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith("uemu: error: unknown policy 'linux-6,5'; nearest: linux-6.5")
        assert uemu("demo", "--policy", "linux-6,5") == done


def test_where_the_demos_are_not_installed_the_remedy_is_said(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uemu_demos", ModuleType("uemu_demos"))
    monkeypatch.delitem(sys.modules, "uemu_demos.registry", raising=False)
    done = uemu("demo")
    assert (done.status, done.out) == (3, "")
    assert "uemu_demos is not installed\n  remedy: Run: pip install ." in done.err


def test_a_demo_that_lacks_a_module_is_a_mistake_and_not_called_uninstalled(
    uemu: Uemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    def fail(name: str) -> ModuleType:
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    monkeypatch.setattr(importlib, "import_module", fail)
    assert uemu("demo").status == 70
