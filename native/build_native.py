"""Build of the native parts, with gcc and Python's headers alone.

``uemu/_native.<abi>.so``  the C helper as a cffi extension in API mode. What Python
                           may call is declared in ``uemu_native.cdef``; the
                           code is every ``native/*.c`` but ``puppet.c``.
``uemu/_puppet``           the static program that test processes run.

pip comes in through `BuildNative`, which pyproject.toml names as setuptools'
``build_ext``. Who works on the C code rebuilds in place, in a second, with
``python native/build_native.py``.

gcc is called directly instead of through setuptools' compiler classes: those
add the flags with which the interpreter itself was built, and our sources are
to be compiled with the same flags everywhere. Only the wrapper that cffi
generates is spared -Wextra and -Werror, because its text is not ours; the
warnings that tell of a declaration unlike its definition stay errors there.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, PlatformError
from setuptools.extension import Extension

ROOT = Path(__file__).resolve().parent.parent
NATIVE = ROOT / "native"
CDEF = NATIVE / "uemu_native.cdef"
HEADER = NATIVE / "uemu_native.h"
PUPPET = NATIVE / "puppet.c"

PACKAGE = ROOT / "uemu"
EXTENSION_NAME = "uemu._native"
EXTENSION_FILE = f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
PUPPET_FILE = "_puppet"

STRICT = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")
SHARED = ("-fPIC", "-fvisibility=hidden", "-I", str(NATIVE))
GENERATED = (
    "-std=gnu11",
    "-O2",
    "-Wall",
    "-Werror=incompatible-pointer-types",
    "-Werror=int-conversion",
    "-Werror=implicit-function-declaration",
)
FREESTANDING = (
    "-nostdlib",
    "-static",
    "-ffreestanding",
    "-fno-pie",
    "-no-pie",
    "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables",
    "-Wl,-z,noexecstack",
    "-Wl,--build-id=none",
)


def helper_sources() -> list[Path]:
    """The C helper's own source files, in a stable order."""
    return sorted(path for path in NATIVE.glob("*.c") if path != PUPPET)


def find_compiler() -> list[str]:
    """The C compiler: ``$CC`` if set, else gcc.

    Raises:
        PlatformError: there is none.
    """
    command = os.environ.get("CC", "").split() or ["gcc"]
    if shutil.which(command[0]) is None:
        raise PlatformError(
            f"cannot build uemu's native helper: no C compiler, {command[0]!r} is not on the PATH. "
            "Install gcc (Debian, Ubuntu: apt-get install gcc libc6-dev; Fedora: dnf install gcc) "
            "or name another compiler in CC."
        )
    return command


def python_include_flags() -> list[str]:
    """Flags that find Python.h, as a system header."""
    paths = sysconfig.get_paths()
    found = dict.fromkeys((paths["include"], paths["platinclude"]))
    return [flag for path in found for flag in ("-isystem", path)]


def check_machine() -> None:
    """Raise PlatformError unless this is x86-64 Linux."""
    is_64_bit = sys.maxsize > 2**32
    if sys.platform == "linux" and platform.machine() == "x86_64" and is_64_bit:
        return
    bits = 64 if is_64_bit else 32
    raise PlatformError(
        f"cannot build uemu here: this is {platform.machine()} {sys.platform} with a {bits}-bit "
        "Python, and uemu drives real processes with x86-64 Linux's own page tables, registers "
        "and system calls. Use a 64-bit Python on an x86-64 Linux machine (5.6 or later), native "
        "or virtual."
    )


def check_headers(compiler: list[str]) -> None:
    """Raise PlatformError unless the C library's and Python's headers compile."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    includes = python_include_flags()
    libc_remedy = "Debian, Ubuntu: apt-get install libc6-dev; Fedora: dnf install glibc-devel"
    python_remedy = (
        "Debian, Ubuntu: apt-get install python3-dev "
        f"(or python{version}-dev); Fedora: dnf install python3-devel"
    )
    for header, owner, remedy in (
        ("sys/ptrace.h", "the C library", libc_remedy),
        ("Python.h", f"Python {version} ({sys.executable})", python_remedy),
    ):
        done = subprocess.run(
            [*compiler, *includes, "-fsyntax-only", "-x", "c", "-"],
            input=f"#include <{header}>\n",
            capture_output=True,
            text=True,
        )
        if done.returncode:
            reason = done.stderr.strip() or f"{compiler[0]} failed"
            raise PlatformError(
                f"cannot build uemu's native helper: {header}, a header of {owner}, cannot be "
                f"compiled. Install it ({remedy}).\nThe compiler said:\n{reason}"
            )


def _gcc(compiler: list[str], *args: str | Path) -> None:
    """Run the compiler; its words are the error's."""
    command = [*compiler, *(str(arg) for arg in args)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CompileError(
            f"{command[0]} failed with status {done.returncode} on uemu's native helper:\n"
            f"{shlex.join(command)}\n{done.stderr}"
        )
    sys.stderr.write(done.stderr)


def _put(built: Path, target: Path, mode: int) -> None:
    """Replace ``target`` in one step: a process may be running the old one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".uemu-build-", delete=False) as new:
        try:
            new.write(built.read_bytes())
            new.close()
            os.chmod(new.name, mode)
            os.replace(new.name, target)
        except BaseException:
            os.unlink(new.name)
            raise


def build_extension(target: Path) -> None:
    """Compile the helper and cffi's wrapper of it into the extension ``target``."""
    import cffi

    check_machine()
    compiler = find_compiler()
    check_headers(compiler)
    ffi = cffi.FFI()
    ffi.cdef(CDEF.read_text())
    ffi.set_source(EXTENSION_NAME, f'#include "{HEADER.name}"\n')
    with tempfile.TemporaryDirectory(prefix="uemu-build-") as temporary:
        tmp = Path(temporary)
        wrapper = tmp / "_native.c"
        ffi.emit_c_code(str(wrapper))
        objects = [tmp / "_native.o"]
        _gcc(
            compiler,
            *GENERATED,
            *SHARED,
            *python_include_flags(),
            "-c",
            wrapper,
            "-o",
            objects[0],
        )
        for source in helper_sources():
            objects.append(tmp / f"{source.stem}.helper.o")
            _gcc(compiler, *STRICT, *SHARED, "-c", source, "-o", objects[-1])
        _gcc(compiler, "-shared", *objects, "-o", tmp / "_native.so")
        _put(tmp / "_native.so", target, 0o755)


def build_puppet(target: Path) -> None:
    """Compile the static executable ``target`` from puppet.c."""
    check_machine()
    compiler = find_compiler()
    with tempfile.TemporaryDirectory(prefix="uemu-build-") as temporary:
        built = Path(temporary) / PUPPET_FILE
        _gcc(compiler, *STRICT, *FREESTANDING, PUPPET, "-o", built)
        _put(built, target, 0o755)


class BuildNative(build_ext):
    """setuptools' build_ext, for an extension and an executable beside it."""

    def build_extension(self, ext: Extension) -> None:
        """Build ``uemu._native`` and the puppet into setuptools' build folder."""
        package = Path(self.build_lib) / "uemu"
        build_extension(package / EXTENSION_FILE)
        build_puppet(package / PUPPET_FILE)

    def copy_extensions_to_source(self) -> None:
        """For an editable install: put both next to the package's sources."""
        for built, target in self._in_place().items():
            _put(Path(built), Path(target), 0o755)

    def get_source_files(self) -> list[str]:
        """What an sdist needs to build both."""
        files = [Path(__file__).resolve(), CDEF, HEADER, *sorted(NATIVE.glob("*.[ch]"))]
        return sorted({str(path.relative_to(ROOT)) for path in files})

    def get_outputs(self) -> list[str]:
        """The files that an installation has to record."""
        return sorted(self._in_place())

    def get_output_mapping(self) -> dict[str, str]:
        """Build path to source path of what an editable install copies."""
        return self._in_place() if self.inplace else {}

    def _in_place(self) -> dict[str, str]:
        built = Path(self.build_lib) / "uemu"
        return {str(built / name): str(PACKAGE / name) for name in (EXTENSION_FILE, PUPPET_FILE)}


def main() -> None:
    """Build both in place, for the Python that runs this."""
    build_extension(PACKAGE / EXTENSION_FILE)
    build_puppet(PACKAGE / PUPPET_FILE)


if __name__ == "__main__":
    main()
