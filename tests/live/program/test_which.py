"""Which file a command names, and the files that are refused, made here byte by byte."""

from __future__ import annotations

import os
import shutil
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from uemu.live.program.which import CannotRun, find_program

SH = "/bin/sh"


def made(path: Path, content: bytes = b"", mode: int = 0o755) -> str:
    """A file with that content, executable unless said otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def elf(
    *, bits: int = 64, data: int = 1, machine: int = 62, e_type: int = 2, loader: str = ""
) -> bytes:
    """The headers of an ELF program, and its loader's name."""
    name = loader.encode() + b"\0"
    ident = struct.pack("4sBBB9x", b"\x7fELF", bits // 32, data, 1)
    rest = struct.pack(
        "<HHIQQQIHHHHHH", e_type, machine, 1, 0, 64, 0, 0, 64, 56, bool(loader), 0, 0, 0
    )
    header = struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, len(name), len(name), 1)
    return ident + rest + header + name


def refused(name: str) -> CannotRun:
    """What is said of a program that cannot be run."""
    with pytest.raises(CannotRun) as caught:
        find_program(name)
    return caught.value


# Searching


def test_a_path_with_a_slash_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert find_program(SH) == SH


def test_the_first_executable_in_path_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "a" / "tool", elf(), 0o644)
    (tmp_path / "b" / "tool").mkdir(parents=True)
    third = made(tmp_path / "c" / "tool", elf())
    made(tmp_path / "d" / "tool", elf())
    path = ":".join(str(tmp_path / each) for each in ("missing", "a", "b", "c", "d"))
    monkeypatch.setenv("PATH", path)
    assert find_program("tool") == third


def test_an_empty_part_of_path_is_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "tool", elf())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/missing:")
    assert find_program("tool") == "./tool"


def test_without_path_the_system_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH", raising=False)
    assert find_program("sh") in ("/bin/sh", "/usr/bin/sh")


def test_what_is_in_path_and_may_not_run_is_126_and_not_127(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "tool", elf(), 0o644)
    monkeypatch.setenv("PATH", f"{tmp_path}:/missing")
    error = refused("tool")
    assert (error.status, error.what, error.why) == (126, path, "is not executable")
    assert error.remedy == f"Run: chmod +x {path}"


@pytest.mark.parametrize("name", ["no-such-program", "", "./no-such-program", f"{SH}/x", "a/\0"])
def test_what_is_not_there_is_127(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(name).status == 127


def test_what_lies_here_but_not_in_path_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "tool", elf())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/missing")
    error = refused("tool")
    assert str(error) == "tool: no such program in PATH. Is it ./tool?"


# Files that are no programs


def test_a_directory_and_a_device_are_126(tmp_path: Path) -> None:
    assert (refused(str(tmp_path)).status, refused(str(tmp_path)).why) == (126, "is a directory")
    assert (refused("/dev/null").status, refused("/dev/null").why) == (126, "is no regular file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_cannot_be_traced(tmp_path: Path) -> None:
    error = refused(made(tmp_path / "secret", elf(), 0o111))
    assert (error.status, "cannot be read" in error.why) == (126, True)


@pytest.mark.parametrize("content", [b"", b"echo hello\n", b"MZ\x90\0"])
def test_a_format_that_execve_does_not_know_is_126(content: bytes, tmp_path: Path) -> None:
    path = made(tmp_path / "tool", content)
    error = refused(path)
    assert (error.status, error.what) == (126, path)
    assert error.remedy.endswith(f"or run: sh {path}")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (elf(bits=32, machine=3), "is a 32-bit program; uemu traces 64-bit x86-64 programs only"),
        # x32: the machine is x86-64, the addresses are not
        (elf(bits=32), "is a 32-bit program; uemu traces 64-bit x86-64 programs only"),
        (
            elf(machine=183),
            "is a program for another machine; uemu traces 64-bit x86-64 programs only",
        ),
        (
            elf(data=2),
            "is a program for another machine; uemu traces 64-bit x86-64 programs only",
        ),
        (elf(e_type=1), "is an ELF file, but no program"),
        (elf()[:40], "its ELF header is cut off"),
    ],
)
def test_a_program_of_another_machine_is_126(content: bytes, why: str, tmp_path: Path) -> None:
    error = refused(made(tmp_path / "tool", content))
    assert (error.status, error.why) == (126, why)


def test_a_program_of_this_machine_is_found(tmp_path: Path) -> None:
    for content in (elf(), elf(e_type=3), elf(loader=SH)):
        path = made(tmp_path / "tool", content)
        assert find_program(path) == path
    assert find_program(sys.executable) == sys.executable


def test_a_missing_loader_is_127_and_named(tmp_path: Path) -> None:
    error = refused(made(tmp_path / "tool", elf(loader="/lib/ld-no-such.so.1")))
    assert (error.status, error.why) == (127, "its loader /lib/ld-no-such.so.1 does not exist")


def test_headers_that_point_past_the_end_are_left_to_execve(tmp_path: Path) -> None:
    content = bytearray(elf(loader=SH))
    for phoff in (10_000, (1 << 64) - 1):
        content[32:40] = struct.pack("<Q", phoff)
        path = made(tmp_path / "tool", bytes(content))
        assert find_program(path) == path


# Scripts


def test_a_script_stands_for_itself(tmp_path: Path) -> None:
    for first in (b"#!/bin/sh", b"#! /bin/sh -e\nexit 3\n", b"#!/usr/bin/env sh\n"):
        path = made(tmp_path / "script", first)
        assert find_program(path) == path


@pytest.mark.parametrize(
    ("interpreter", "status", "why"),
    [
        ("/no/such/interpreter", 127, "No such file or directory"),
        ("/dev", 126, "is a directory"),
        ("{tmp}/32-bit", 126, "is a 32-bit program; uemu traces 64-bit x86-64 programs only"),
        ("{tmp}/text", 126, "is no program in a format of this system"),
    ],
)
def test_a_script_needs_an_interpreter_that_runs(
    interpreter: str, status: int, why: str, tmp_path: Path
) -> None:
    made(tmp_path / "32-bit", elf(bits=32, machine=3))
    made(tmp_path / "text", b"echo hello\n")
    interpreter = interpreter.format(tmp=tmp_path)
    path = made(tmp_path / "script", f"#!{interpreter} -x\n".encode())
    error = refused(path)
    assert (error.status, error.why) == (status, why)
    assert error.what == f"{path}: its interpreter {interpreter}"


def test_a_script_that_names_no_interpreter_or_itself_is_126(tmp_path: Path) -> None:
    assert refused(made(tmp_path / "script", b"#! \n")).status == 126
    error = refused(made(tmp_path / "loop", f"#!{tmp_path}/loop\n".encode()))
    assert error.status == 126
    assert error.why.endswith("too many of them")


def test_an_interpreter_may_be_a_script(tmp_path: Path) -> None:
    inner = made(tmp_path / "inner", b"#!/bin/sh\n")
    path = made(tmp_path / "outer", f"#!{inner}\n".encode())
    assert find_program(path) == path


# Privileges


@pytest.mark.parametrize(
    ("bit", "who"), [(0o4000, "is setuid of user"), (0o2000, "is setgid of group")]
)
def test_a_program_that_would_lose_its_privileges_is_126(
    bit: int, who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "tool", elf(), 0o755 | bit)
    assert find_program(path) == path, "its owner runs it as who he is"
    _be_somebody_else(monkeypatch)
    error = refused(path)
    assert (error.status, error.why.startswith(who)) == (126, True)
    assert error.why.endswith("under tracing it would run without its privileges")


def test_bits_that_give_no_privilege_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _be_somebody_else(monkeypatch)
    locking = made(tmp_path / "locking", elf(), 0o2705)
    assert find_program(locking) == locking
    # A script never gets them: its interpreter is what runs.
    script = made(tmp_path / "script", b"#!/bin/sh\n", 0o6755)
    assert find_program(script) == script


def test_the_interpreter_of_a_script_may_not_lose_its_privileges_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = shutil.copy(os.path.realpath(SH), tmp_path / "shell")
    os.chmod(shell, 0o4755)
    _be_somebody_else(monkeypatch)
    error = refused(made(tmp_path / "script", f"#!{shell}\n".encode()))
    assert (error.status, "setuid" in error.why) == (126, True)


def test_where_the_file_system_ignores_the_bits_there_is_nothing_to_lose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "tool", elf(), 0o6755)
    _be_somebody_else(monkeypatch, mounted=os.ST_NOSUID)
    assert find_program(path) == path


def _be_somebody_else(monkeypatch: pytest.MonkeyPatch, *, mounted: int = 0) -> None:
    """Not who made the files, on a file system with those flags."""
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=mounted))
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "getegid", lambda: 12345)
