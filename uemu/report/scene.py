"""A picture of two processes, the page frames between them, and a device.

    parent 4711        page frames                        child 4712       device
                       ┌─ pfn 0 ───────────────────────┐
    r-  ─────────────▶ │ byte 0     IIIIIIIIIIIIIIIIII │ ◀────────── r-
                       │ byte 3584  IIIIIIIIIIIIIIIIII │ ◀════════════ holds it
                       └─────────── 3 refs, 2 mappings ┘

Every line is at most 79 columns wide. What colours say, signs and words say too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

LEFT, BOX, RIGHT = 19, 35, 17

LEGEND = (
    ("rw ──▶", "a process maps the frame and may store to it"),
    ("r- ──▶", "it maps the frame write-protected: a store traps, and the kernel decides"),
    ("◀══", "a device holds the frame: it knows no process, only the frame's number"),
    ("◀━━ writes, ━━▶ reads", "the device moves its bytes now"),
    ("refs, pins", "references to the frame, as the kernel counts them; a pin is one of 1024"),
    ("mappings", "page table entries that map it"),
)  # fmt: skip
"""Each sign and what it means."""


@dataclass(frozen=True, slots=True)
class FrameView:
    """One frame as it is now.

    Attributes:
        pfn: its number.
        contents: offset in bytes to the text shown there.
        refs, maps: the kernel's counts.
        flags: page flags that are set.
    """

    pfn: int
    contents: Mapping[int, str]
    refs: int
    maps: int
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProcessView:
    """A process and what it maps: pfn to ``rw`` or ``r-``."""

    title: str
    maps: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything in the picture.

    Attributes:
        left: the parent.
        right: the child, or None before fork.
        frames: from the top down.
        device: pfn to what the device does with it: an arrow and a word.
    """

    left: ProcessView
    right: ProcessView | None
    frames: Sequence[FrameView]
    device: Mapping[int, str]


def draw_scene(scene: Scene) -> Text:
    """The picture as text with styles."""
    picture = Text()
    titles = (scene.left.title, "page frames", scene.right.title if scene.right else "", "device")
    for title, width, style in zip(
        titles, (LEFT, BOX, RIGHT, 0), ("bold blue", "bold", "bold magenta", "bold yellow"),
        strict=True,
    ):  # fmt: skip
        picture.append(f"{title} ".ljust(width), style)
    picture.rstrip()
    picture.append("\n")
    for frame in scene.frames:
        _draw_frame(picture, scene, frame)
    picture.rstrip()
    return picture


def _draw_frame(picture: Text, scene: Scene, frame: FrameView) -> None:
    inner = BOX - 4
    left = scene.left.maps.get(frame.pfn)
    right = scene.right.maps.get(frame.pfn) if scene.right else None
    device = scene.device.get(frame.pfn)
    flags = "".join(f"─ {flag} " for flag in frame.flags)
    head = f"┌─ pfn {frame.pfn} {flags}"[: inner + 2].ljust(inner + 2, "─") + "─┐"
    picture.append(" " * LEFT + head + "\n")
    for row, (offset, text) in enumerate(frame.contents.items()):
        first, last = row == 0, row == len(frame.contents) - 1
        if first and left:
            picture.append(f"{left}  {'─' * (LEFT - 6)}▶ ", "blue")
        else:
            picture.append(" " * LEFT)
        line = f"byte {offset:<5} {text}"[:inner]
        picture.append("│ " + line.ljust(inner) + " │")
        if first and right:
            picture.append(f" ◀{'─' * (RIGHT - 7)} {right}", "magenta")
        if last and device:
            arrow = "━" if device.startswith(("writes", "reads")) else "═"
            tip, end = ("", "▶") if device.startswith("reads") else ("◀", "")
            if first and right:
                picture.append("  ")
            else:
                picture.append(" " + tip + arrow * (RIGHT - 4) + end, "yellow")
            picture.append(" " + device, "yellow")
        picture.append("\n")
    refs = f" {_count(frame.refs)}, {_plural(frame.maps, 'mapping')}"
    picture.append(" " * LEFT + "└" + (refs + " ").rjust(inner + 1, "─") + "─┘\n")


def _count(refs: int) -> str:
    pins, gets = divmod(refs, 1024)
    if not pins:
        return _plural(refs, "ref")
    return f"{_plural(gets, 'ref')} + {_plural(pins, 'pin')}"


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")
