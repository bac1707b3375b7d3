"""What this machine allows: each probe where it succeeds and where it is refused."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import no_ptrace
from tests.live.processes import own_resources
from uemu.errors import HostError
from uemu.host import doctor
from uemu.host.doctor import Finding

NAMES = [
    "x86-64",
    "kernel",
    "native helper",
    "ptrace",
    "page frames",
    "mappings",
    "CPUs",
    "python-ptrace",
    "libdw",
]


def found(name: str) -> Finding:
    (finding,) = [finding for finding in doctor.examine() if finding.name == name]
    return finding


def without_ptrace(code: str) -> str:
    """What a Python says that runs ``code`` where ptrace is forbidden."""
    run = subprocess.run(
        [sys.executable, no_ptrace.SCRIPT, "-c", code], capture_output=True, text=True, check=True
    )
    return run.stdout


# A machine that has everything


@pytest.mark.needs_ptrace
@pytest.mark.needs_memfd
def test_a_machine_that_runs_the_tests_is_well() -> None:
    findings = doctor.examine()
    assert [finding.name for finding in findings] == NAMES
    assert [finding for finding in findings if not finding.ok] == []
    assert all(finding.detail for finding in findings)
    assert not any(finding.remedy for finding in findings)


@pytest.mark.needs_ptrace
def test_examining_leaves_nothing_behind() -> None:
    doctor._can_trace.clear()
    before = own_resources()
    doctor.examine()
    assert own_resources() == before


@pytest.mark.needs_ptrace
def test_ptrace_is_tried_once_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []
    monkeypatch.setattr(doctor, "_trace_a_puppet", lambda: tries.append(os.getpid()))
    doctor._can_trace.clear()
    for _ in range(3):
        assert doctor.probe_ptrace() is None
    assert tries == [os.getpid()]
    doctor._can_trace.clear()


# ptrace refused


@pytest.mark.needs_ptrace
def test_a_seccomp_filter_is_named_with_its_remedy() -> None:
    said = json.loads(
        without_ptrace(
            "import json; from uemu.host import doctor\n"
            "print(json.dumps([[f.name, f.ok, f.detail, f.remedy] for f in doctor.examine()]))"
        )
    )
    findings = [Finding(*each) for each in said]
    (bad,) = [finding for finding in findings if not finding.ok]
    assert bad.name == "ptrace"
    assert bad.detail.startswith("Operation not permitted (")
    assert "seccomp mode 2" in bad.detail
    assert "--security-opt seccomp=unconfined" in bad.remedy


@pytest.mark.needs_ptrace
def test_the_probe_says_why() -> None:
    said = without_ptrace("from uemu.host import doctor; print(doctor.probe_ptrace())")
    assert said.startswith("trace a process of our own (ptrace): Operation not permitted (")


@pytest.mark.needs_ptrace
def test_the_command_ends_with_status_3() -> None:
    code = "import sys; from uemu.cli.main import main; sys.exit(main(['doctor']))"
    run = subprocess.run(
        [sys.executable, no_ptrace.SCRIPT, "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 3
    assert "seccomp mode 2" in run.stdout
    assert "--cap-add" in run.stdout


@pytest.mark.parametrize(
    ("seen", "remedy"),
    [
        ({"kernel.yama.ptrace_scope": "2"}, "sysctl kernel.yama.ptrace_scope=1"),
        ({"kernel.yama.ptrace_scope": "3"}, "reboot"),
        ({"seccomp mode": "2"}, "--cap-add SYS_PTRACE"),
        ({"traced by process": "17"}, "strace -f"),
        ({}, "SELinux"),
        # A child may always be traced under 1, so that it is not the reason.
        ({"kernel.yama.ptrace_scope": "1"}, "SELinux"),
    ],
)
def test_each_reason_has_its_remedy(seen: dict[str, str], remedy: str) -> None:
    assert remedy in doctor.ptrace_remedy(seen)


def test_circumstances_are_read_from_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/sys/kernel/yama/ptrace_scope": "3\n",
        "/proc/self/status": "Name:\tx\nTracerPid:\t17\nSeccomp:\t2\nSeccomp_filters:\t1\n",
    }
    monkeypatch.setattr(doctor, "_text", lambda path: files.get(path, ""))
    assert doctor.circumstances() == {
        "kernel.yama.ptrace_scope": "3",
        "seccomp mode": "2",
        "traced by process": "17",
    }


def test_a_kernel_without_yama_has_no_circumstances(monkeypatch: pytest.MonkeyPatch) -> None:
    status = "TracerPid:\t0\nSeccomp:\t0\n"
    monkeypatch.setattr(doctor, "_text", lambda path: status if path.endswith("status") else "")
    assert doctor.circumstances() == {}


# Other things missing


def test_a_missing_file_reads_as_nothing(tmp_path: Path) -> None:
    assert doctor._text(str(tmp_path / "no")) == ""


def test_an_old_kernel_is_found_out_by_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    features = {**doctor.FEATURES, "pidfd_getfd": lambda: "Function not implemented"}
    monkeypatch.setattr(doctor, "FEATURES", features)
    finding = found("kernel")
    assert not finding.ok
    assert "not pidfd_getfd: Function not implemented" in finding.detail
    assert "5.6" in finding.remedy
    assert doctor.probe_kernel("pidfd_getfd") == "Function not implemented"


def test_what_uemu_can_do_without_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    features = {**doctor.FEATURES, "close_range": lambda: "Function not implemented"}
    monkeypatch.setattr(doctor, "FEATURES", features)
    finding = found("kernel")
    assert finding.ok
    assert "not close_range: Function not implemented" in finding.detail


def test_a_system_call_that_no_kernel_has_is_not_there() -> None:
    assert doctor._answers(100_000) == "Function not implemented"


def test_advice_that_no_kernel_knows_is_not_there() -> None:
    assert doctor._madvise(12_345) == "Invalid argument"


def test_an_unknown_feature_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown kernel feature '5\.6'; known: memfd_create"):
        doctor.probe_kernel("5.6")


def test_no_memfd(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise HostError("create a memfd", "no", "Run another kernel.")

    monkeypatch.setattr(doctor, "_use_frames", refuse)
    assert found("page frames") == Finding(
        "page frames", False, "create a memfd: no", "Run another kernel."
    )
    assert doctor.probe_memfd() == "create a memfd: no"


@pytest.mark.parametrize(("limit", "ok"), [("65530", True), ("1048576", True), ("1000", False)])
def test_too_few_mappings(limit: str, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_line", lambda path: limit if "max_map" in path else "")
    finding = found("mappings")
    assert finding.ok is ok
    assert limit in finding.detail
    assert finding.remedy == ("" if ok else "As root: sysctl vm.max_map_count=65530.")


def test_a_helper_that_was_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uemu.host.native", None)
    finding = found("native helper")
    assert not finding.ok
    assert "pip install" in finding.remedy


@pytest.mark.parametrize("module", ["ptrace.version", "ptrace.syscall"])
def test_no_python_ptrace(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    finding = found("python-ptrace")
    assert not finding.ok
    assert "pip install" in finding.remedy


def test_a_python_ptrace_that_does_not_know_our_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SYSCALLS", {9: "mmap", 999: "uemu_call"})
    finding = found("python-ptrace")
    assert not finding.ok
    assert "does not know uemu_call" in finding.detail


def test_another_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    finding = found("x86-64")
    assert (finding.ok, finding.detail) == (False, "aarch64")
    assert finding.remedy
