"""Functions that the compiler put into others: no stack has them, debug information does.

Source: DWARF version 5, 3.3.8; elfutils' src/addr2line.c for how libdw is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from uemu.host.libdw import Libdw

DW_TAG_INLINED_SUBROUTINE: Final = 0x1D
DW_AT_CALL_FILE: Final = 0x58
DW_AT_CALL_LINE: Final = 0x59


class Inlined(NamedTuple):
    """A function whose code stands inside another's, and where that one calls it."""

    function: str
    called_from: str
    called_at: int


def inlined_at(libdw: Libdw, module: Any, at: int) -> Iterator[Inlined]:
    """Those that an instruction belongs to, the innermost first."""
    ffi, lib = libdw.ffi, libdw.lib
    bias, files = ffi.new("Dwarf_Addr *"), ffi.new("Dwarf_Files **")
    unit = lib.dwfl_module_addrdie(module, at, bias)
    if not unit or lib.dwarf_getsrcfiles(unit, files, ffi.NULL):
        return
    for die in _nest(libdw, unit, at - bias[0]):
        if lib.dwarf_tag(die) == DW_TAG_INLINED_SUBROUTINE:
            file = _number(libdw, die, DW_AT_CALL_FILE)
            source = lib.dwarf_filesrc(files[0], file, ffi.NULL, ffi.NULL)
            line = _number(libdw, die, DW_AT_CALL_LINE)
            yield Inlined(libdw.text(lib.dwarf_diename(die)), libdw.text(source), line)


def _nest(libdw: Libdw, unit: Any, at: int) -> list[Any]:
    """What an instruction is in: blocks, inlined functions, the function itself, the unit.

    What libdw says first leads from an inlined function to where it was
    written; asked about the innermost one, it leads to where it was put.
    """
    lib = libdw.lib
    innermost = _copied(libdw, lambda scopes: lib.dwarf_getscopes(unit, at, scopes))[:1]
    if not innermost:
        return []
    return _copied(libdw, lambda scopes: lib.dwarf_getscopes_die(innermost[0], scopes))


def _copied(libdw: Libdw, ask: Any) -> list[Any]:
    scopes = libdw.ffi.new("Dwarf_Die **")
    count = ask(scopes)
    if count <= 0:
        return []
    try:
        return [libdw.ffi.new("Dwarf_Die *", scopes[0][i]) for i in range(count)]
    finally:
        libdw.libc.free(scopes[0])


def _number(libdw: Libdw, die: Any, name: int) -> int:
    attribute, value = libdw.ffi.new("Dwarf_Attribute *"), libdw.ffi.new("Dwarf_Word *")
    found = libdw.lib.dwarf_attr(die, name, attribute)
    if not found or libdw.lib.dwarf_formudata(found, value):
        return 0
    return int(value[0])
