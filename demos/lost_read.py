"""A read from a file that never arrives in its buffer.

A process reads 512 bytes of a file with O_DIRECT into the end of a page.
While the device is at it, the process forks and stores one byte to the
beginning of the same page. Who gets the file's bytes?
"""

from __future__ import annotations

import tempfile

from rich.console import Console
from rich.text import Text

import uemu
from uemu_demos.telling import (
    Telling,
    print_legend,
    print_paragraph,
    print_policy,
    print_verdict,
    print_way_on,
    readable,
)

name = "lost-read"
summary = "an O_DIRECT read in flight over fork: who sees what the device wrote?"

SAFE = "linux-6.5"
"""What the story is told under a second time."""

SECTOR = 512
AT = uemu.PAGE_SIZE - SECTOR
TEXT = b"read from the file; "


def run(console: Console, policy: str, pause: bool) -> int:
    """Tell it under ``policy`` and then under a kernel that protects the read."""
    console.print(Text("A read that is waited for, and never arrives", "bold"))
    print_paragraph(
        console,
        "A process reads a file with O_DIRECT into the last 512 bytes of a page: the device"
        " writes the page frame itself. Meanwhile the process forks, and stores one byte to"
        " the beginning of the same page, as any neighbour on the heap may.",
    )
    console.print()
    print_legend(console)
    with tempfile.NamedTemporaryFile(prefix="uemu-demo-") as file:
        file.write((TEXT * SECTOR)[:SECTOR])
        file.flush()
        policies = [policy] if policy == SAFE else [policy, SAFE]
        for each in policies:
            print_policy(console, each)
            _tell(console, each, pause, file.fileno(), file.name)
    print_way_on(console, name, policy)
    return 0


def _tell(console: Console, policy: str, pause: bool, fd: int, path: str) -> None:
    with uemu.Machine(policy=policy) as machine:
        parent = machine.spawn()
        buf = parent.mmap(uemu.PAGE_SIZE)
        parent.store(buf, b"I" * uemu.PAGE_SIZE)
        story = Telling(console, machine, parent, buf, (0, AT), pause)
        story.tell(
            "A process has a page",
            "It is real: it shows in /proc. It filled its page with the letter I.",
        )
        read = machine.dma.start(
            parent, buf + AT, SECTOR, direction=uemu.DMA_FROM_DEVICE, api="o_direct"
        )
        (held,) = read.pfns
        story.device = {held: "holds it"}
        how = "pin" if machine.page(held).refcount >= 1024 else "get"
        story.tell(
            f"read(fd, page + {AT}, 512) with O_DIRECT",
            f"The kernel takes a reference to the frame (a {how}) and gives its number to the"
            f" device, which will write it. The file is {path}.",
        )
        story.child = child = parent.fork()
        story.tell("fork()", "A second process, with the same page.")
        parent.store(buf, b"P")
        story.tell("The parent stores 'P' to byte 0", "Not to the bytes it reads into.")
        child.store(buf, b"C")
        story.tell("The child stores 'C' to byte 0", "In its own memory, it thinks.")
        read.complete_from_file(fd, 0)
        story.device = {held: "writes it"}
        story.tell("The device has the file's bytes", "It writes them to the frame it was given.")
        _who_sees(console, machine, parent, child, buf)


def _who_sees(
    console: Console, machine: uemu.Machine, parent: uemu.Process, child: uemu.Process, buf: int
) -> None:
    console.print()
    console.print(Text("   read() returns 512. What is in the buffer, by real loads:", "bold"))
    for process in (parent, child):
        data = process.load(buf + AT, SECTOR)
        sees = data.startswith(TEXT)
        wanted = sees == (process is parent)
        sign, style = ("✓", "green") if wanted else ("✗", "red")
        what = "the file's bytes" if sees else "what was there before"
        line = f"   {sign} {process.name:<6} {readable(data[:24])!r}  {what}"
        console.print(Text(line, style))
    print_verdict(console, machine)
