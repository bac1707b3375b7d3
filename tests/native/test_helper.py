"""The C helper under AddressSanitizer and UBSan, driven from C.

Every ``TEST(name)`` of driver*.c is one test here: a process of its own, which the
sanitizers end at the first wrong access. The sources are compiled as they are.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from native.build_native import NATIVE, STRICT, build_puppet, find_compiler, helper_sources

DRIVERS = sorted(Path(__file__).resolve().parent.glob("driver*.c"))
CASES = [
    case
    for driver in DRIVERS
    for case in re.findall(r"^TEST\((\w+)\)", driver.read_text(), re.MULTILINE)
]

SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
# The helper allocates nothing, and looking for leaks at exit needs ptrace for itself.
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}

pytestmark = pytest.mark.slow


def compile_c(output: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """Compile with the build's flags and both sanitizers."""
    command = [*find_compiler(), *STRICT, "-g", *SANITIZE, "-pthread", *map(str, args)]
    return subprocess.run([*command, "-o", str(output)], capture_output=True, text=True)


def run_c(program: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program that compile_c made."""
    return subprocess.run(
        [str(program), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, **ENVIRONMENT},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to compile in, on a machine whose sanitizers work."""
    folder = tmp_path_factory.mktemp("native")
    source = folder / "empty.c"
    source.write_text("int main(void) { return 0; }\n")
    done = compile_c(folder / "empty", source)
    if done.returncode == 0:
        done = run_c(folder / "empty")
    if done.returncode:
        pytest.skip(f"this compiler has no libasan or libubsan: {done.stderr.strip()[-300:]}")
    return folder


@pytest.fixture(scope="module")
def driver(folder: Path) -> Path:
    """The driver, linked with the helper, beside a puppet."""
    build_puppet(folder / "puppet")
    done = compile_c(folder / "driver", "-I", NATIVE, *DRIVERS, *helper_sources())
    if done.returncode:
        pytest.fail(done.stderr, pytrace=False)
    return folder / "driver"


@pytest.mark.needs_ptrace
@pytest.mark.needs_memfd
@pytest.mark.parametrize("case", CASES)
def test_helper(driver: Path, case: str) -> None:
    done = run_c(driver, driver.with_name("puppet"), case)
    if done.returncode or done.stdout or done.stderr:
        pytest.fail(f"status {done.returncode}: {done.stdout}{done.stderr}", pytrace=False)


@pytest.mark.parametrize(
    ("body", "report"),
    [
        ("volatile char *p = malloc(n); p[n] = 1;", "heap-buffer-overflow"),
        ("volatile char *p = malloc(n); free((void *)p); p[0] = 1;", "heap-use-after-free"),
        ("volatile int big = 2147483647; big += n;", "signed integer overflow"),
    ],
)
def test_sanitizers_would_tell(folder: Path, body: str, report: str) -> None:
    source = folder / "wrong.c"
    source.write_text(
        f"#include <stdlib.h>\nint main(int n, char **v) {{ (void)v; {body} return 0; }}\n"
    )
    done = compile_c(folder / "wrong", "-Wno-use-after-free", source)
    assert done.returncode == 0, done.stderr
    done = run_c(folder / "wrong")
    assert done.returncode != 0
    assert report in done.stderr
