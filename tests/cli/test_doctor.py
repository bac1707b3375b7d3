"""``uemu doctor``: findings, in words and as JSON."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Uemu
from uemu.host import doctor
from uemu.host.doctor import Finding

GOOD = Finding("ptrace", True, "a child can be traced", "")
BAD = Finding("memfd", False, "memfd_create: ENOSYS", "Run Linux 3.17 or later")


def found(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: list(findings))


def test_a_machine_that_has_everything(uemu: Uemu, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, GOOD)
    done = uemu("doctor")
    assert (done.status, done.err) == (0, "")
    assert done.out == "✓  ok  ptrace  a child can be traced\n"


def test_what_is_missing_has_its_remedy(uemu: Uemu, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, GOOD, BAD)
    done = uemu("doctor")
    assert done.status == 3
    assert [line.split() for line in done.out.splitlines()] == [
        ["✓", "ok", "ptrace", "a", "child", "can", "be", "traced"],
        ["✗", "missing", "memfd", "memfd_create:", "ENOSYS"],
        ["remedy", "Run", "Linux", "3.17", "or", "later"],
    ]


def test_json(uemu: Uemu, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, BAD)
    done = uemu("doctor", "--json")
    assert done.status == 3
    assert json.loads(done.out) == {
        "uemu": 1,
        "command": "doctor",
        "ok": False,
        "findings": [
            {
                "name": "memfd",
                "ok": False,
                "detail": "memfd_create: ENOSYS",
                "remedy": "Run Linux 3.17 or later",
            }
        ],
    }


def test_this_machine_is_examined(uemu: Uemu) -> None:
    done = uemu("doctor")
    assert done.status in (0, 3)
    assert done.out.count("\n") >= 1
