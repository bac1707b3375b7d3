"""Whose memory a device held: heap, stack, a variable, a file, a mapping of the program's."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from uemu.live.program.origins import Origin
from uemu.live.program.stacks import Moment
from uemu.oracle.held import HeldBuffer
from uemu.oracle.violations import Violation

VariableAt = Callable[[Moment, int], str]
"""The name of the variable at an address, or ""."""

HEAP: Final = "[heap]"
STACK: Final = "[stack]"


def no_variable(moment: Moment, addr: int) -> str:
    """For who cannot look one up."""
    return ""


def with_owner(violation: Violation, variable_at: VariableAt = no_variable) -> Violation:
    """The same violation, its buffer with what memory that is, in words."""
    held, story = violation.buffer, violation.story
    moment = story[0].moment if story else None
    if held is None or not isinstance(moment, Moment):
        return violation
    memory, owner = _owner(held, moment, variable_at(moment, held.start))
    return replace(violation, buffer=replace(held, memory=memory, owner=owner))


def _owner(held: HeldBuffer, moment: Moment, variable: str) -> tuple[str, str]:
    origin = moment.origins.find(held.pages[0])
    if variable:
        return "variable", f"the variable {variable}"
    if origin is None:
        return "", ""
    where = f"{origin.end - origin.start} bytes at {origin.start:#x}"
    if origin.name == HEAP:
        return "heap", f"in the heap, {where}; which block of it is malloc's to know"
    if origin.name == STACK:
        return "stack", f"on the stack of the first thread, {where}"
    if origin.start <= moment.rsp < origin.end:
        return "stack", f"on the stack of the thread that made the call, {where}"
    if origin.name:
        return "file", f"in a private mapping of {os.path.basename(origin.name)}, {where}"
    if _is_all_of(held, origin):
        return "anonymous", "an anonymous mapping of its own"
    return "anonymous", f"in anonymous memory, {where}"


def _is_all_of(held: HeldBuffer, origin: Origin) -> bool:
    return (held.start, held.pages[1]) == (origin.start, origin.end)
