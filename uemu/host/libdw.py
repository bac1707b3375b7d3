"""Stacks of stopped threads, unwound and symbolised by elfutils' libdw, if it is installed.

It is loaded when it is first wanted. What it is given is a copy: the registers
of a thread, the bytes above its stack pointer, and the list of the mappings of
its process; so the thread may have gone on. The program's files are read where
they lie. Nothing is asked of a network, whatever DEBUGINFOD_URLS says.

Source: elfutils' libdwfl.h. Debian: libdw1.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast

from cffi import FFI

from uemu.events import Frame
from uemu.host.inlines import inlined_at
from uemu.host.libdw_h import DECLARATIONS, OF_LIBC, OF_LIBSTDCXX

LIBRARY: Final = "libdw.so.1"
NR_REGISTERS: Final = 17
RSP: Final = 7
RIP: Final = 16
MOST_FRAMES: Final = 64


class Symbol(NamedTuple):
    """A variable of a program's: its name, where it begins, how many bytes it has."""

    name: str
    start: int
    size: int


class NoLibdw(Exception):
    """The library is not installed; the text says what to do."""


class Libdw:
    """The library.

    Raises:
        NoLibdw: it is not there.
    """

    def __init__(self) -> None:
        self.ffi = cast(Any, FFI())
        self.ffi.cdef(DECLARATIONS + OF_LIBC + OF_LIBSTDCXX)
        try:
            self.lib: Any = self.ffi.dlopen(LIBRARY)
        except OSError as error:
            raise NoLibdw(
                f"stories have no stacks: {LIBRARY} is not there ({error}); Debian has it in libdw1"
            ) from None
        self.libc: Any = self.ffi.dlopen(None)
        self._demangle = _demangler(self.ffi)
        # Of this process alone, and of its C library alone: os.environ is what programs get.
        self.libc.unsetenv(b"DEBUGINFOD_URLS")
        self.callbacks: Any = self.ffi.new("Dwfl_Callbacks *")
        self.callbacks.find_elf = self._function("dwfl_linux_proc_find_elf")
        self.callbacks.find_debuginfo = self._function("dwfl_standard_find_debuginfo")

    def _function(self, name: str) -> Any:
        return self.ffi.cast("void *", self.ffi.addressof(self.lib, name))

    def text(self, value: Any) -> str:
        """A C string; NULL is empty."""
        return os.fsdecode(self.ffi.string(value)) if value else ""

    def name(self, value: Any) -> str:
        """A symbol's name, as its language has it: ``store::load(int)``."""
        text = self.text(value)
        if self._demangle is None or not text.startswith("_Z"):
            return text
        plain = self._demangle(value, *[self.ffi.NULL] * 3)
        if not plain:
            return text
        try:
            return self.text(plain)
        finally:
            self.libc.free(plain)

    def report(self, dwfl: Any, maps: bytes) -> bool:
        """Tell it of a process's mappings; whether that worked."""
        text = self.ffi.new("char[]", maps)
        file = self.libc.fmemopen(text, max(len(maps), 1), b"r")
        if not file:
            return False
        try:
            self.lib.dwfl_report_begin(dwfl)
            reported = self.lib.dwfl_linux_proc_maps_report(dwfl, file)
            ended = self.lib.dwfl_report_end(dwfl, self.ffi.NULL, self.ffi.NULL)
            return bool(reported == 0 and ended == 0)
        finally:
            self.libc.fclose(file)


def _demangler(ffi: Any) -> Any:
    """What makes names of C++ readable; None: they stay as compilers write them."""
    try:
        library = ffi.dlopen("libstdc++.so.6")
    except OSError:
        return None
    return lambda *args: library.__cxa_demangle(*args)


class Image:
    """What one process had mapped, for any number of stacks of its threads."""

    def __init__(self, libdw: Libdw, maps: bytes) -> None:
        self._libdw, self._ffi, self._lib = libdw, libdw.ffi, libdw.lib
        self._registers: Sequence[int] = ()
        self._stack = b""
        self._found: list[tuple[int, bool]] = []
        self._known: dict[int, list[Frame]] = {}
        self._mapped = [
            (int(start, 16), int(end, 16))
            for start, end in (line.split(maxsplit=1)[0].split(b"-") for line in maps.splitlines())
        ]
        self._dwfl = self._lib.dwfl_begin(libdw.callbacks)
        ffi = self._ffi
        self._threads = ffi.new("Dwfl_Thread_Callbacks *")
        self._keep = [
            ffi.callback("int(Dwfl *, void *, void **)", lambda _d, _a, _t: 0),
            ffi.callback("bool(Dwfl *, int, void *, void **)", lambda _d, _p, _a, _t: True),
            ffi.callback("bool(Dwfl *, Dwarf_Addr, Dwarf_Word *, void *)", self._read),
            ffi.callback("bool(Dwfl_Thread *, void *)", self._set_registers),
            ffi.callback("int(Dwfl_Frame *, void *)", self._frame),
        ]
        threads = self._threads
        threads.next_thread, threads.get_thread = self._keep[0], self._keep[1]
        threads.memory_read, threads.set_initial_registers = self._keep[2], self._keep[3]
        self._is_ready = libdw.report(self._dwfl, maps) and bool(
            self._lib.dwfl_attach_state(self._dwfl, ffi.NULL, 1, threads, ffi.NULL)
        )

    def close(self) -> None:
        """Give back what it takes."""
        self._lib.dwfl_end(self._dwfl)

    def frames(self, registers: Sequence[int], stack: bytes) -> list[Frame]:
        """The functions a thread is in, the innermost first.

        Args:
            registers: in DWARF's order, as `tracee.registers_of` has them.
            stack: the bytes from the stack pointer on, as many as there are.
        """
        if not self._is_ready:
            return []
        self._registers, self._stack, self._found = registers, stack, []
        # Where it ends is where the stack does, or the copy of it: no error of ours.
        self._lib.dwfl_getthread_frames(self._dwfl, 1, self._keep[4], self._ffi.NULL)
        return [
            frame for pc, is_call in self._found for frame in self._frames_at(pc, is_call=is_call)
        ]

    def _read(self, _dwfl: Any, addr: int, result: Any, _arg: Any) -> bool:
        at = addr - self._registers[RSP]
        if not 0 <= at <= len(self._stack) - 8:
            return False
        result[0] = int.from_bytes(self._stack[at : at + 8], "little")
        return True

    def _set_registers(self, thread: Any, _arg: Any) -> bool:
        values = self._ffi.new("Dwarf_Word[]", list(self._registers))
        return bool(self._lib.dwfl_thread_state_registers(thread, 0, NR_REGISTERS, values))

    def _frame(self, state: Any, _arg: Any) -> int:
        pc, is_activation = self._ffi.new("Dwarf_Addr *"), self._ffi.new("bool *")
        if not self._lib.dwfl_frame_pc(state, pc, is_activation):
            return 1
        self._found.append((pc[0], not is_activation[0]))
        return int(len(self._found) >= MOST_FRAMES)

    def _frames_at(self, pc: int, *, is_call: bool) -> list[Frame]:
        # A call that does not return may be the last thing in its function.
        at = pc - is_call
        known = self._known.get(at)
        if known is None:
            known = self._known[at] = self._look_up(pc, at)
        return known

    def _look_up(self, pc: int, at: int) -> list[Frame]:
        ffi, lib = self._ffi, self._lib
        module = lib.dwfl_addrmodule(self._dwfl, at)
        if not module:
            return [Frame(pc, "", "", "", 0)]
        name = self._name(module)
        symbol = self._symbol(module, at)
        source, line, file = lib.dwfl_module_getsrc(module, at), 0, ""
        if source:
            number = ffi.new("int *")
            file = self._libdw.text(lib.dwfl_lineinfo(source, ffi.NULL, number, *[ffi.NULL] * 3))
            line = number[0]
        frames = []
        for inlined in inlined_at(self._libdw, module, at):
            frames.append(Frame(pc, name, inlined.function, file, line))
            file, line = inlined.called_from, inlined.called_at
        return [*frames, Frame(pc, name, symbol.name if symbol else "", file, line)]

    def symbol_at(self, addr: int) -> Symbol | None:
        """The variable that lies at an address, if its name is known."""
        module = self._module_of_data(addr) if self._is_ready else None
        found = self._symbol(module, addr) if module else None
        return found if found and found.start <= addr < found.start + found.size else None

    def _module_of_data(self, addr: int) -> Any:
        """The module whose variables may lie there: .bss goes on, without a file, behind one."""
        at = addr
        for start, end in reversed(self._mapped):
            if start <= at < end or at == end:
                module = self._lib.dwfl_addrmodule(self._dwfl, start)
                # A frame of ours is a file, too, and stands where the program's memory was.
                if module and not self._name(module).startswith("/memfd:"):
                    return module
                at = start
        return None

    def _name(self, module: Any) -> str:
        return self._libdw.text(self._lib.dwfl_module_info(module, *[self._ffi.NULL] * 7))

    def _symbol(self, module: Any, at: int) -> Symbol | None:
        offset, symbol = self._ffi.new("uint64_t *"), self._ffi.new("GElf_Sym *")
        null = self._ffi.NULL
        name = self._lib.dwfl_module_addrinfo(module, at, offset, symbol, null, null, null)
        if not name:
            return None
        return Symbol(self._libdw.name(name), at - offset[0], symbol.st_size)
