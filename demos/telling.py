"""Tells a story step by step: words, what the kernel did, the picture."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

import uemu
from uemu.events import Event, FaultTaken, PageCopied, PteSet
from uemu.policy.registry import POLICIES
from uemu.report.scene import LEGEND, FrameView, ProcessView, Scene, draw_scene

SHOWN = 20
"""Characters of a frame's contents in the picture."""


def readable(data: bytes) -> str:
    """Bytes as a person reads them: printable ASCII, a dot for the rest."""
    return "".join(chr(b) if 32 <= b < 127 else "." for b in data)


@dataclass
class Telling:
    """One run of a story under one policy.

    Attributes:
        offsets: the bytes of a frame that the picture shows.
        device: what the device does with a frame, for the picture.
    """

    console: Console
    machine: uemu.Machine
    parent: uemu.Process
    buf: int
    offsets: tuple[int, ...]
    pause: bool
    child: uemu.Process | None = None
    device: dict[int, str] = field(default_factory=dict)
    step: int = 0
    _seen: int = 0
    _frames: list[int] = field(default_factory=list)

    def tell(self, title: str, words: str) -> None:
        """One step: its title, its words, the kernel's doings, the picture."""
        self.step += 1
        self.console.print()
        self.console.print(Text(f"{self.step}. {title}", "bold"))
        print_paragraph(self.console, words, "   ")
        for line in self._doings():
            print_paragraph(self.console, line, "   · ", "dim")
        self.console.print()
        self.console.print(draw_scene(self._scene()), soft_wrap=True)
        if self.pause:
            try:
                self.console.input(Text("   [Enter] ", "dim"))
            except EOFError:
                self.pause = False

    def _doings(self) -> list[str]:
        """What the kernel did since the last step, from its events."""
        events = self.machine.timeline
        new, self._seen = events[self._seen :], len(events)
        return [line for event in new if (line := self._describe(event))] or [
            "no trap, and no page table changes"
        ]

    def _describe(self, event: Event) -> str:
        match event:
            case FaultTaken(mm=mm, write=write):
                kind = "store" if write else "load"
                return f"{self._name(mm)}'s {kind} traps"
            case PageCopied(src=src, dst=dst, fn=fn, mm=mm):
                return f"{fn}(): pfn {src} is copied to pfn {dst}, for {self._name(mm)}"
            case PteSet(mm=mm, pfn=pfn, write=write) if pfn is not None:
                access = "read-write" if write else "write-protected"
                return f"{self._name(mm)}'s page table: pfn {pfn}, {access}"
        return ""

    def _name(self, mm: int) -> str:
        return self.machine.name_of(mm)

    def _scene(self) -> Scene:
        machine, page = self.machine, self.buf
        processes = [p for p in (self.parent, self.child) if p is not None]
        maps: dict[str, dict[int, str]] = {}
        for process in processes:
            entry = machine.entry_of(process, page)
            maps[process.name] = {} if entry is None else {entry[0]: "rw" if entry[1] else "r-"}
        for pfn in [*(pfn for each in maps.values() for pfn in each), *self.device]:
            if pfn not in self._frames:
                self._frames.append(pfn)
        live = machine.pfns
        self._frames = [pfn for pfn in self._frames if pfn in live]
        return Scene(
            self._process(self.parent, maps),
            self._process(self.child, maps) if self.child else None,
            [self._frame(pfn) for pfn in self._frames],
            self.device,
        )

    def _process(self, process: uemu.Process, maps: dict[str, dict[int, str]]) -> ProcessView:
        return ProcessView(f"{process.name}, pid {process.pid}", maps[process.name])

    def _frame(self, pfn: int) -> FrameView:
        info = self.machine.page(pfn)
        contents = {at: readable(self.machine.read_frame(pfn, at, SHOWN)) for at in self.offsets}
        return FrameView(pfn, contents, info.refcount, info.mapcount, info.flags)


def print_paragraph(console: Console, text: str, first: str = "", style: str = "") -> None:
    """A text as wide as the terminal, whose later lines stand below where it begins."""
    lines = textwrap.wrap(
        text, console.width - 1, initial_indent=first, subsequent_indent=" " * len(first),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    for line in lines:
        console.print(Text(line, style), soft_wrap=True)


def print_legend(console: Console) -> None:
    """Say what each sign of the pictures means."""
    console.print(Text("In the pictures:", "bold"))
    for sign, meaning in LEGEND:
        print_paragraph(console, meaning, f"   {sign:<22} ")


def print_policy(console: Console, policy: str) -> None:
    """A line across, with the policy whose rules hold from here on."""
    console.print()
    console.rule(Text(f"under {policy}", "bold"), align="left", characters="─")
    print_paragraph(console, POLICIES[policy.partition(":")[0]].summary)


def print_verdict(console: Console, machine: uemu.Machine) -> None:
    """What was violated, in words."""
    violations = machine.violations
    if not violations:
        console.print(Text("   ✓ no violation", "bold green"))
    for violation in violations:
        told = f"{violation.kind}: {violation.message}"
        print_paragraph(console, told, "   ✗ ", "bold red")


def print_way_on(console: Console, name: str, policy: str) -> None:
    """The command that shows more, on a line of its own: one can paste it."""
    console.print()
    console.print("Every order of events, not this one alone:")
    console.print(f"   uemu explore {name} --policy {policy}", soft_wrap=True)
