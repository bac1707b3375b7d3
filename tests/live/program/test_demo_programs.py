"""The programs of demos/programs without uemu: on this kernel no byte is lost.

That holds for every kernel that pins what it transfers, with every combination
of options. The negative control is a C library that loses bytes. The four
programs of 2009 compile.
"""

from __future__ import annotations

import errno
import itertools
import mmap
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from native.build_native import find_compiler

CHILDREN = ("", "-f fork", "-f spawn", "-f none")
LETTERS = {
    "lost_read": ("-d", "-p"),
    "reverse_race": ("-d",),
    "aio": ("-d", "-p"),
    "registered": ("-d", "-p"),
}

CASES = [
    (name, " ".join(filter(None, options)))
    for name, letters in LETTERS.items()
    for options in itertools.product(CHILDREN, *(("", letter) for letter in letters))
] + [("lost_read", "-w 1 -r 1"), ("lost_read", "-w 40 -r 10"), ("lost_read", "-w 3 -r 20 -f none")]

LOSING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/types.h>

ssize_t pread(int fd, void *buffer, size_t count, off_t offset)
{
	ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
	char tail[512];

	if (count != 4096)
		return real(fd, buffer, count, offset);
	memcpy(tail, (char *)buffer + 3584, 512);
	real(fd, buffer, count, offset);
	memcpy((char *)buffer + 3584, tail, 512);
	return count;
}

ssize_t pwrite(int fd, const void *buffer, size_t count, off_t offset)
{
	ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");

	if (count > 4096)
		memset((char *)buffer + 8192, 'C', 16);
	return real(fd, buffer, count, offset);
}
"""
"""A C library whose reads of a page lose the last sector, and whose long writes
find bytes of somebody else."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the programs' files, on a file system with O_DIRECT."""
    file = tmp_path / "probe"
    file.write_bytes(bytes(mmap.PAGESIZE))
    try:
        fd = os.open(file, os.O_RDONLY | os.O_DIRECT)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        pytest.skip(f"needs O_DIRECT: {tmp_path} is on a file system that refuses it")
    finally:
        file.unlink()
    os.close(fd)
    monkeypatch.delenv("TMPDIR", raising=False)
    return tmp_path


def run(folder: Path, program: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a program in ``folder``, where it leaves nothing."""
    done = subprocess.run(
        [str(program), *args], cwd=folder, capture_output=True, text=True, timeout=20
    )
    assert list(folder.iterdir()) == []
    return done


@pytest.mark.parametrize(("name", "options"), CASES)
def test_no_byte_is_lost_here(
    demo_program: Callable[[str], Path], folder: Path, name: str, options: str
) -> None:
    done = run(folder, demo_program(name), *options.split())
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout.startswith("0 of ")


@pytest.mark.parametrize("options", ["", "-d", "-p", "-d -p"])
def test_nothing_leaks_here(
    demo_program: Callable[[str], Path], folder: Path, options: str
) -> None:
    done = run(folder, demo_program("leak"), *options.split())
    assert (done.returncode, done.stdout, done.stderr) == (0, "the child has learned nothing\n", "")


@pytest.fixture(scope="module")
def losing(tmp_path_factory: pytest.TempPathFactory) -> str:
    """LD_PRELOAD for a C library that loses bytes."""
    folder = tmp_path_factory.mktemp("losing")
    (folder / "losing.c").write_text(LOSING)
    command = [*find_compiler(), "-shared", "-fPIC", "losing.c", "-o", "losing.so", "-ldl"]
    subprocess.run(command, cwd=folder, check=True)
    return str(folder / "losing.so")


LOST = ": ee ee ee ee ee ee ee ee ..., not "
STALE = ": what was there before the read\n"


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "lost_read",
            "-w 2 -r 1 -f none",
            [
                "round 0, reader 0: 512 of 4096 bytes are wrong, from offset 3584 of the file, ",
                f"{LOST}08{STALE}",
                "round 0, reader 1: 512 of 4096 bytes are wrong, from offset 7680 of the file, ",
                f"{LOST}10{STALE}",
                "\n1024 of 8192 bytes are wrong\n",
            ],
        ),
        (
            "aio",
            "-f none",
            [
                "read: 512 of 4096 bytes are wrong, from offset 7680 of the file, ",
                f"{LOST}10{STALE}",
                "\n512 of 8193 bytes are wrong\n",
            ],
        ),
        (
            "reverse_race",
            "-f none",
            ["offset 8192 of the file: 16 bytes that the parent never had: 43 43 43 43"],
        ),
    ],
)
def test_a_wrong_byte_is_found_and_told(
    demo_program: Callable[[str], Path],
    folder: Path,
    losing: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    options: str,
    said: list[str],
) -> None:
    program = demo_program(name)
    monkeypatch.setenv("LD_PRELOAD", losing)
    done = run(folder, program, *options.split())
    assert (done.returncode, done.stderr) == (1, ""), done
    for each in said:
        assert each in done.stdout


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lost_read", "-w 0"),
        ("lost_read", "-r x"),
        ("lost_read", "-f vfork"),
        ("lost_read", "more"),
        ("reverse_race", "-p"),
        ("aio", "-w 2"),
    ],
)
def test_wrong_use_is_an_error_of_its_own(
    demo_program: Callable[[str], Path], folder: Path, name: str, options: str
) -> None:
    done = run(folder, demo_program(name), *options.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{name}: ") or f"usage: {name} " in done.stderr


@pytest.mark.parametrize("tmpdir", ["", "/nowhere", "/proc"])
def test_the_file_is_where_the_program_runs_if_tmpdir_cannot_have_it(
    demo_program: Callable[[str], Path], folder: Path, monkeypatch: pytest.MonkeyPatch, tmpdir: str
) -> None:
    program = demo_program("lost_read")
    monkeypatch.setenv("TMPDIR", tmpdir)
    assert run(folder, program).returncode == 0


def test_no_place_for_the_file_is_an_error_of_its_own(
    demo_program: Callable[[str], Path],
) -> None:
    done = subprocess.run(
        [demo_program("lost_read")], cwd="/proc", env={}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "neither in $TMPDIR nor here: " in done.stderr


@pytest.mark.parametrize("name", ["dma_thread", "forkscrew", "forkscrewreverse", "reverse-race"])
def test_a_program_of_2009_compiles(program_2009: Callable[[str], Path], name: str) -> None:
    assert os.access(program_2009(name), os.X_OK)
