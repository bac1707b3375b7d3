"""The remedies that fit one violation: with its addresses, without what would not help it."""

from __future__ import annotations

from typing import Final, NamedTuple

from uemu.abi import PAGE_SIZE
from uemu.oracle.held import HeldBuffer
from uemu.oracle.remedies import (
    ADVICE,
    DONTFORK,
    NOT_REUSED,
    PIN,
    SHARED,
    SPAWN,
    WHOLE_PAGES,
    WIPEONFORK,
    Remedy,
)
from uemu.oracle.violations import Violation

DRIVERS: Final = frozenset({"rdma", "vfio"})
"""Who takes pages in a driver's way, and may do so by get or by pin."""

PINNED: Final = (
    "since Linux 5.9 fork copies what is pinned, since 5.19 a pin stays with the page that its"
    " owner sees."
)


class Fit(NamedTuple):
    """A remedy for one violation: what it is called, what to do."""

    name: str
    text: str


def fitting(violation: Violation) -> list[Fit]:
    """What can be done about a violation, for programs first."""
    remedies = ADVICE[violation.kind].remedies
    held = violation.buffer
    if held is None:
        return [Fit(remedy.name, remedy.text) for remedy in remedies]
    fits = [_fit(remedy, held, remedies) for remedy in remedies]
    return [fit for fit in fits if fit is not None]


def _fit(remedy: Remedy, held: HeldBuffer, among: tuple[Remedy, ...]) -> Fit | None:
    if remedy is SHARED:
        return None
    if remedy is WHOLE_PAGES:
        return None if held.has_its_pages else Fit(remedy.name, _whole_pages(held))
    if remedy is DONTFORK:
        return Fit(remedy.name, _dontfork(held))
    if remedy is WIPEONFORK:
        if held.memory in ("stack", "file", "variable"):
            return None
        anonymous = "" if held.memory else ", if it is anonymous memory"
        text = f"the same{anonymous}: the child finds zeros in those pages."
        return Fit(remedy.name, text)
    if remedy is SPAWN:
        text = (
            "if the child only runs another program, posix_spawn(3), or vfork(2) and execve(2),"
            " in place of fork: no page is shared."
        )
        return Fit("posix_spawn, vfork", text)
    if remedy is PIN:
        return None if NOT_REUSED in among else _pin(held)
    return Fit(remedy.name, remedy.text)


def _whole_pages(held: HeldBuffer) -> str:
    length = held.end - held.start
    padded = -(-length // PAGE_SIZE) * PAGE_SIZE
    given = f"give it {padded} bytes instead of {length}, " if padded != length else ""
    return (
        f"align the buffer to {PAGE_SIZE} bytes, {given}and let nobody store to it meanwhile:"
        " then nothing breaks COW on its pages."
    )


def _dontfork(held: HeldBuffer) -> str:
    start, end = held.pages
    if held.memory == "stack":
        return (
            "not where it is, for the child runs on this stack: map pages for the buffer alone,"
            " and madvise(2) those before the I/O."
        )
    call = f"madvise({start:#x}, {end - start}, MADV_DONTFORK) before the I/O: fork leaves"
    if held.has_its_pages:
        return f"{call} these pages out, and the child has no memory there: nothing but the buffer."
    sides = {"before": held.before, "after": held.after}
    parts = " and ".join(
        f"the {length} bytes {side} it" for side, length in sides.items() if length
    )
    lost = {
        "heap": "other blocks of the heap",
        "variable": "what of the program's variables is there",
    }
    return (
        f"{call} these pages out. The child then lacks, beside the buffer, {parts}:"
        f" {lost.get(held.memory, 'whatever is there')}."
    )


def _pin(held: HeldBuffer) -> Fit | None:
    if held.api == "vmsplice":
        # It gets to this day: pipes give pages back whenever somebody reads them.
        return None
    if held.pinned:
        return Fit("a newer kernel", f"the pages were pinned: {PINNED}")
    if held.api in DRIVERS:
        text = (
            "let the driver take pages with pin_user_pages() where it has them from"
            f" get_user_pages(); {PINNED}"
        )
        return Fit("FOLL_PIN in the driver", text)
    if held.api == "io_uring":
        return Fit("a newer kernel", f"one where a registration is a pin, and {PINNED}")
    text = "since Linux 6.5 O_DIRECT pins its pages, and fork copies what is pinned."
    return Fit("a newer kernel", text)
