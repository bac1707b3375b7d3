"""Stacks of a real process, unwound from a copy; and where the library is missing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from native.build_native import find_compiler
from uemu.events import Frame
from uemu.host import libdw, native, procfs, tracee
from uemu.host.libdw import RIP, RSP, Image, Libdw, NoLibdw

SOURCE = """\
static int table[1000];

static inline __attribute__((always_inline)) void stop(int number)
{
	__asm__ volatile("int3");
	table[number % 1000] = number;
}

__attribute__((noinline)) int inner(int depth)
{
	if (depth)
		return inner(depth - 1) + 1;
	stop(depth);
	return table[0];
}

int main(int argc, char **argv)
{
	int sum = inner(argc + 1);

	return sum + (argv == 0);
}
"""
LINE = {text: number for number, text in enumerate(SOURCE.splitlines(), 1)}
GOES_ON = LINE["\ttable[number % 1000] = number;"]
STOP = LINE["\tstop(depth);"]
INNER = LINE["\t\treturn inner(depth - 1) + 1;"]
MAIN = LINE["\tint sum = inner(argc + 1);"]


class Stopped:
    """A program that stands at its int3: what is copied of it."""

    def __init__(self, path: Path) -> None:
        self.pid = tracee.start(str(path), [str(path)], [])
        event = native.new_event()
        assert tracee.resume(self.pid, tracee.CONT, 0) == 0
        while event.kind != native.TRAP:
            assert tracee.wait_for(self.pid, event) == 0
            assert event.kind in (native.TRAP, native.EVENT), event.kind
            if event.kind == native.EVENT:
                assert tracee.resume(self.pid, tracee.CONT, 0) == 0
        registers = tracee.registers_of(self.pid)
        assert registers is not None
        self.registers = registers
        memory = procfs.ProcessMemory(self.pid)
        self.stack = memory.read(registers[RSP], 4096)
        self.maps = memory.maps()
        memory.close()


@pytest.fixture(params=["-O0", "-O2"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The program, compiled with debug information."""
    source, output = tmp_path / "program.c", tmp_path / "program"
    source.write_text(SOURCE)
    flags = ["-g", request.param, "-fno-optimize-sibling-calls"]
    subprocess.run([*find_compiler(), *flags, str(source), "-o", str(output)], check=True)
    return output


@pytest.fixture
def stopped(program: Path) -> Iterator[Stopped]:
    """The program at its int3."""
    there = Stopped(program)
    yield there
    native.end(there.pid)


def frames_of(stopped: Stopped) -> list[Frame]:
    image = Image(Libdw(), stopped.maps)
    try:
        return image.frames(stopped.registers, stopped.stack)
    finally:
        image.close()


pytestmark = [pytest.mark.needs_libdw]


@pytest.mark.needs_ptrace
def test_functions_files_and_lines_inlined_ones_too(stopped: Stopped) -> None:
    frames = frames_of(stopped)
    names = [frame.function for frame in frames]
    assert names[:2] == ["stop", "inner"]
    assert [frame.line for frame in frames[:2]] == [GOES_ON, STOP]
    last = names.index("main")
    assert frames[last].line == MAIN
    assert {frame.function for frame in frames[2:last]} <= {"inner"}
    assert {frame.line for frame in frames[2:last]} <= {INNER}
    assert {os.path.basename(frame.file) for frame in frames[: last + 1]} == {"program.c"}
    assert frames[0].pc == stopped.registers[RIP]


@pytest.mark.needs_ptrace
def test_the_copy_is_enough_when_the_process_is_gone(stopped: Stopped) -> None:
    before = frames_of(stopped)
    native.end(stopped.pid)
    assert frames_of(stopped) == before


@pytest.mark.needs_ptrace
def test_where_the_copy_ends_the_stack_does(stopped: Stopped) -> None:
    whole = frames_of(stopped)
    stopped.stack = stopped.stack[:8]
    cut = frames_of(stopped)
    assert cut == whole[: len(cut)]
    assert 0 < len(cut) < len(whole)


@pytest.mark.needs_ptrace
def test_variables_have_names(stopped: Stopped) -> None:
    image = Image(Libdw(), stopped.maps)
    path = os.readlink(f"/proc/{stopped.pid}/exe").encode()
    (start, end) = next(
        (int(part, 16) for part in line.split()[0].split(b"-"))
        for line in stopped.maps.splitlines()
        if line.endswith(path) and b" rw" in line
    )
    named = {image.symbol_at(at).name for at in range(start, end, 8) if image.symbol_at(at)}  # type: ignore[union-attr]
    image.close()
    assert "table" in named


def test_without_mappings_there_is_no_stack() -> None:
    image = Image(Libdw(), b"")
    assert image.frames((0,) * libdw.NR_REGISTERS, b"") == []
    assert image.symbol_at(4096) is None
    image.close()


def test_a_network_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://localhost:9")
    loaded = Libdw()
    loaded.ffi.cdef("char *getenv(const char *);")
    assert loaded.libc.getenv(b"DEBUGINFOD_URLS") == loaded.ffi.NULL
    assert os.environ["DEBUGINFOD_URLS"] == "http://localhost:9", "what programs get"


def test_where_it_is_missing_somebody_is_told_how_to_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(libdw, "LIBRARY", "libdw-is-not-here.so.1")
    with pytest.raises(NoLibdw, match=r"stories have no stacks: .* libdw1"):
        Libdw()


@pytest.mark.parametrize(
    ("mangled", "plain"),
    [
        (b"_ZN5store4loadEi", "store::load(int)"),
        (b"_Z", "_Z"),
        (b"_Z!", "_Z!"),
        (b"main", "main"),
    ],
)
def test_names_are_as_their_language_has_them(mangled: bytes, plain: str) -> None:
    loaded = Libdw()
    if loaded._demangle is None:
        pytest.skip("needs libstdc++.so.6")
    assert loaded.name(loaded.ffi.new("char[]", mangled)) == plain


def test_without_libstdcxx_names_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = Libdw()
    monkeypatch.setattr(loaded, "_demangle", None)
    assert loaded.name(loaded.ffi.new("char[]", b"_ZN5store4loadEi")) == "_ZN5store4loadEi"
