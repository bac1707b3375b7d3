"""Which file a command names, and whether uemu can run and trace it.

The search is execvp's. Then the file's first bytes are read, as execve reads
them: a machine, a missing loader or a privilege that tracing would take away
is better said before the program runs than by what becomes of it.

Linux: fs/exec.c, fs/binfmt_script.c, fs/binfmt_elf.c.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

from uemu.errors import UemuError

NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127

DEFAULT_PATH: Final = "/bin:/usr/bin"
"""Where execvp looks without a PATH: glibc's confstr(_CS_PATH)."""

SCRIPTS_DEEP: Final = 5
"""So many interpreters may be scripts in their turn. Linux: fs/exec.c:exec_binprm."""

BINPRM_BUF_SIZE: Final = 256
"""What execve reads of a script, in bytes."""

PATH_MAX: Final = 4096
"""The longest path, in bytes."""

_ELF_HEADER: Final = struct.Struct("<4sBB10xHHIQQQIHHH")
_PROGRAM_HEADER: Final = struct.Struct("<IIQQQQ")
_ELFCLASS32, _ELFCLASS64, _ELFDATA2LSB = 1, 2, 1
_ET_EXEC, _ET_DYN = 2, 3
_EM_X86_64: Final = 62
_PT_INTERP: Final = 3

_ONLY: Final = "uemu traces 64-bit x86-64 programs only"


class CannotRun(UemuError):
    """A program cannot be run.

    Attributes:
        status: what a shell, and uemu, exits with: 127 not found, 126 not executable.
        what: the program.
        why: what is the matter with it.
        remedy: what a person can do about it; may be empty.
    """

    def __init__(self, status: int, what: str, why: str, remedy: str = "") -> None:
        super().__init__(f"{what}: {why}" + (f". {remedy}" if remedy else ""))
        self.status = status
        self.what = what
        self.why = why
        self.remedy = remedy


def find_program(name: str) -> str:
    """The path of the file that execvp would run for ``name``.

    Raises:
        CannotRun: there is none, or it is none that uemu can trace.
    """
    path = name if "/" in name else _search(name)
    _check_file(path)
    _check_format(path, path, 0)
    return path


def _search(name: str) -> str:
    """The first file in PATH with that name that may be executed."""
    refused = None
    for path in _candidates(name):
        try:
            _check_file(path)
        except CannotRun as error:
            # Like a shell: go on, and in the end say what was found and may not run.
            # What lies in a folder that may not be searched was not found.
            if error.status == NOT_EXECUTABLE and os.path.exists(path):
                refused = refused or error
        else:
            return path
    if refused is not None:
        raise refused
    here = f"Is it ./{name}?" if name and os.path.isfile(name) else ""
    raise CannotRun(NOT_FOUND, name or "''", "no such program in PATH", here)


def _candidates(name: str) -> Iterator[str]:
    if name:
        for directory in os.environ.get("PATH", DEFAULT_PATH).split(":"):
            yield f"{directory or '.'}/{name}"


def _check_file(path: str) -> None:
    """It is there, a file, and may be executed."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        is_barred = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.ELOOP)
        why = getattr(error, "strerror", None) or str(error)
        status = NOT_EXECUTABLE if is_barred else NOT_FOUND
        raise CannotRun(status, path, why) from None
    if stat.S_ISDIR(mode):
        raise CannotRun(NOT_EXECUTABLE, path, "is a directory")
    if not stat.S_ISREG(mode):
        raise CannotRun(NOT_EXECUTABLE, path, "is no regular file")
    if os.access(path, os.X_OK, effective_ids=True):
        return
    if not mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH):
        raise CannotRun(NOT_EXECUTABLE, path, "is not executable", f"Run: chmod +x {path}")
    raise CannotRun(NOT_EXECUTABLE, path, "may not be executed by this user, or not from there")


def _check_format(path: str, what: str, depth: int) -> None:
    """It is a program for this machine, or a script whose interpreter is one."""
    try:
        with open(path, "rb") as file:
            head = file.read(BINPRM_BUF_SIZE)
            if head.startswith(b"\x7fELF"):
                _check_elf(head, file, what)
                _check_privileges(os.fstat(file.fileno()), path, what)
    except OSError as error:
        why = f"cannot be read ({error.strerror}), and so not be traced"
        raise CannotRun(NOT_EXECUTABLE, what, why) from None
    if head.startswith(b"#!"):
        _check_interpreter(head, what, depth)
    elif not head.startswith(b"\x7fELF"):
        why = "is no program in a format of this system"
        remedy = f"If it is a shell script, begin it with #!/bin/sh, or run: sh {path}"
        raise CannotRun(NOT_EXECUTABLE, what, why, remedy)


def _check_interpreter(head: bytes, what: str, depth: int) -> None:
    words = head[2:].split(b"\n", 1)[0].split(None, 1)
    if not words:
        raise CannotRun(NOT_EXECUTABLE, what, "its first line, #!, names no interpreter")
    if depth == SCRIPTS_DEEP:
        raise CannotRun(NOT_EXECUTABLE, what, "its interpreters are scripts, too many of them")
    interpreter = os.fsdecode(words[0])
    through = f"{what}: its interpreter {interpreter}"
    try:
        _check_file(interpreter)
    except CannotRun as error:
        raise CannotRun(error.status, through, error.why, error.remedy) from None
    _check_format(interpreter, through, depth + 1)


def _check_elf(head: bytes, file: BinaryIO, what: str) -> None:
    """An ELF program of x86-64, with its loader."""
    if head[4:5] == bytes([_ELFCLASS32]):
        raise CannotRun(NOT_EXECUTABLE, what, f"is a 32-bit program; {_ONLY}")
    if len(head) < _ELF_HEADER.size:
        raise CannotRun(NOT_EXECUTABLE, what, "its ELF header is cut off")
    (_, elf_class, data, e_type, machine, _, _, phoff, _, _, _, phentsize, phnum) = (
        _ELF_HEADER.unpack_from(head)
    )
    if (elf_class, data, machine) != (_ELFCLASS64, _ELFDATA2LSB, _EM_X86_64):
        raise CannotRun(NOT_EXECUTABLE, what, f"is a program for another machine; {_ONLY}")
    if e_type not in (_ET_EXEC, _ET_DYN):
        raise CannotRun(NOT_EXECUTABLE, what, "is an ELF file, but no program")
    loader = _loader(file, phoff, phentsize, phnum)
    if loader and not os.path.exists(loader):
        why = f"its loader {os.fsdecode(loader)} does not exist"
        raise CannotRun(NOT_FOUND, what, why, "Install the C library that it was linked with.")


def _loader(file: BinaryIO, phoff: int, phentsize: int, phnum: int) -> bytes | None:
    """The dynamic loader that the program names, if it names one."""
    try:
        for number in range(phnum):
            file.seek(phoff + number * phentsize)
            p_type, _, offset, _, _, length = _PROGRAM_HEADER.unpack(
                file.read(_PROGRAM_HEADER.size)
            )
            if p_type == _PT_INTERP:
                file.seek(offset)
                return file.read(min(length, PATH_MAX)).rstrip(b"\0")
    except (OSError, ValueError, struct.error):
        pass  # Offsets past the end: what execve says to them it says itself.
    return None


def _check_privileges(status: os.stat_result, path: str, what: str) -> None:
    """It runs as who starts it. Linux: fs/exec.c:bprm_fill_uid."""
    gains = []
    if status.st_mode & stat.S_ISUID and status.st_uid != os.geteuid():
        gains.append(f"setuid of user {status.st_uid}")
    # Without the group's x bit, the setgid bit once meant mandatory locking.
    is_setgid = status.st_mode & stat.S_ISGID and status.st_mode & stat.S_IXGRP
    if is_setgid and status.st_gid != os.getegid():
        gains.append(f"setgid of group {status.st_gid}")
    if gains and not os.statvfs(path).f_flag & os.ST_NOSUID:
        why = f"is {' and '.join(gains)}; under tracing it would run without its privileges"
        raise CannotRun(NOT_EXECUTABLE, what, why, "Run uemu as the user it is to run as.")
