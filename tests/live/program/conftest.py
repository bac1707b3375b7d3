"""Programs to run under uemu: ours of demos/programs, and four of 2009 in their authors' words.

The latter are no part of this repository. Where the mailing list's thread lies
beside it, they are taken from there; elsewhere, who asks for one is skipped.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from native.build_native import find_compiler

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = ROOT / "demos" / "programs"
SEEDS = ROOT.parent / "shared" / "seeds"

OURS = ("-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread")

BEHAVIOUR = Path(__file__).with_name("behaviour")
TRUTH = Path(__file__).with_name("truth")

THEIRS = ("-std=gnu11", "-g", "-w", "-Wno-incompatible-pointer-types", "-pthread")
"""As dma_thread.c says, and two for later compilers: C23 has a ``bool`` of its
own, and since gcc 14 a ``char **`` for a ``void **`` is an error."""

MARKS_2009 = {
    "dma_thread": ("========== dma_thread.c =======\n", "========== dma_thread.c"),
    "forkscrew": ("========== forkscrew.c ========\n", "========== forkscrew.c"),
    "forkscrewreverse": (
        "========== forkscrewreverse.c ========\n",
        "========== forkscrewreverse.c",
    ),
    "reverse-race": ("--- reverse-race.c ---\n", "\\0\n"),
}
"""What stands before and after each program in the thread."""


def compile_program(
    output: Path, source: Path, *flags: str, libraries: tuple[str, ...] = ()
) -> Path:
    """Compile a C program."""
    command = [*find_compiler(), *flags, str(source), "-o", str(output), *libraries]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output


def _has_header(name: str) -> bool:
    command = [*find_compiler(), "-E", "-x", "c", "-"]
    done = subprocess.run(command, input=f"#include <{name}>\n", capture_output=True, text=True)
    return done.returncode == 0


def source_2009(name: str) -> str | None:
    """The text of a program of 2009, if the thread lies beside this repository."""
    before, after = MARKS_2009[name]
    for path in sorted(SEEDS.glob("*.txt")):
        _, found, rest = path.read_text(encoding="utf-8", errors="replace").partition(before)
        source, ended, _ = rest.partition(after)
        if found and ended:
            return source
    return None


@pytest.fixture(scope="session")
def demo_program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compile a program of demos/programs, once: ``demo_program("lost_read")``."""
    folder = tmp_path_factory.mktemp("programs")

    @functools.cache
    def compiled(name: str) -> Path:
        return compile_program(folder / name, PROGRAMS / f"{name}.c", *OURS)

    return compiled


@pytest.fixture(scope="session")
def program_2009(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compile a program of 2009, once, or skip: ``program_2009("forkscrew")``.

    Missing sources are a skip with --uemu-force too: it is not the machine that lacks them.
    """
    folder = tmp_path_factory.mktemp("programs-2009")

    @functools.cache
    def compiled(name: str) -> Path:
        text = source_2009(name)
        if text is None:
            pytest.skip(f"needs the source of {name}: no text in {SEEDS} has it")
        source = folder / f"{name}.c"
        source.write_text(text)
        is_aio = "<libaio.h>" in text
        if is_aio and not _has_header("libaio.h"):
            pytest.skip(f"needs libaio.h for {name}: apt-get install libaio-dev")
        return compile_program(
            folder / name, source, *THEIRS, libraries=("-laio",) if is_aio else ()
        )

    return compiled


@pytest.fixture(scope="session")
def behaviour(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compile a program of behaviour/, once: ``behaviour("futex")``."""
    folder = tmp_path_factory.mktemp("behaviour")

    @functools.cache
    def compiled(name: str) -> Path:
        return compile_program(folder / name, BEHAVIOUR / f"{name}.c", *OURS)

    return compiled
