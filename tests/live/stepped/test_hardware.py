"""Whatever becomes of a replay, no process and no memory is left of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.processes import Watch, own_resources, state
from tests.live.stepped.conftest import Bench
from uemu.errors import HostError
from uemu.live.area import Areas
from uemu.live.stepped import hardware as module
from uemu.live.stepped.hardware import LiveHardware

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.needs_ptrace
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_everything_is_given_back(error: type[BaseException] | None) -> None:
    with LiveHardware():
        pass  # what is made once in a process's life
    before = own_resources()
    pids: list[int] = []

    def use() -> None:
        with LiveHardware() as hardware:
            Bench(hardware)
            pids.extend(each.pid for each in hardware.processes.took_part)
            assert [state(pid) for pid in pids] == ["t"] * 3
            if error is not None:
                raise error
        hardware.close()

    with pytest.raises(error) if error is not None else contextlib.nullcontext():
        use()
    assert [state(pid) for pid in pids] == [None] * 3
    assert own_resources() == before


@pytest.mark.needs_ptrace
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_program_that_is_killed_leaves_no_process(number: int) -> None:
    code = (
        "import time\n"
        "from tests.live.stepped.conftest import Bench\n"
        "from uemu.live.stepped.hardware import LiveHardware\n"
        "with LiveHardware() as hardware:\n"
        "    Bench(hardware)\n"
        "    print(*[each.pid for each in hardware.processes.took_part], flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as program:
        assert program.stdout is not None
        pids = [int(word) for word in program.stdout.readline().split()]
        assert len(pids) == 3
        watch = Watch(pids)
        os.kill(program.pid, number)
        assert watch.ended() == set(pids)


def test_where_tracing_is_forbidden_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    before = own_resources()
    monkeypatch.setattr(module, "ptrace_error", lambda: HostError("trace", "no", "Ask."))
    with pytest.raises(HostError, match="trace: no"):
        LiveHardware()
    assert own_resources() == before


@pytest.mark.needs_memfd
def test_what_was_begun_is_undone_when_the_rest_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    before = own_resources()

    def refuse(_: Areas) -> None:
        raise HostError("map", "no", "Ask.")

    monkeypatch.setattr(module, "ptrace_error", lambda: None)
    monkeypatch.setattr(Areas, "__init__", refuse)
    with pytest.raises(HostError, match="map: no"):
        LiveHardware()
    assert own_resources() == before
