"""A write to a file that carries another process's bytes.

A process forks and then writes a page to a file with O_DIRECT. While the
device is at it, the parent stores to the page, and then the child does.
Whose bytes are in the file?
"""

from __future__ import annotations

import os
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

name = "reverse-race"
summary = "an O_DIRECT write of a page shared by fork: whose bytes reach the file?"

SAFE = "linux-6.5"
AT = uemu.PAGE_SIZE - 512


def run(console: Console, policy: str, pause: bool) -> int:
    """Tell it under ``policy`` and then under a kernel that protects the write."""
    console.print(Text("The file that got the child's bytes", "bold"))
    print_paragraph(
        console,
        "A process forks and then writes a page to a file with O_DIRECT: the device reads the"
        " page frame itself. Before it does, the parent stores to the page, and then the child.",
    )
    console.print()
    print_legend(console)
    policies = [policy] if policy == SAFE else [policy, SAFE]
    for each in policies:
        print_policy(console, each)
        with tempfile.TemporaryFile(prefix="uemu-demo-") as file:
            _tell(console, each, pause, file.fileno())
    print_way_on(console, name, policy)
    return 0


def _tell(console: Console, policy: str, pause: bool, fd: int) -> None:
    with uemu.Machine(policy=policy) as machine:
        parent = machine.spawn()
        buf = parent.mmap(uemu.PAGE_SIZE)
        parent.store(buf, b"I" * uemu.PAGE_SIZE)
        story = Telling(console, machine, parent, buf, (0, AT), pause)
        story.child = child = parent.fork()
        story.tell("A process has a page of I's, and forks", "Both map the page.")
        write = machine.dma.start(
            parent, buf, uemu.PAGE_SIZE, direction=uemu.DMA_TO_DEVICE, api="o_direct"
        )
        (held,) = write.pfns
        story.device = {held: "holds it"}
        story.tell(
            "The parent: write(fd, page, 4096) with O_DIRECT",
            "The kernel takes a reference to a frame and gives its number to the device,"
            " which will read it.",
        )
        parent.store(buf, b"P")
        story.tell("The parent stores 'P' to byte 0", "It could have waited; it did not.")
        child.store(buf + AT, b"from the child ")
        story.tell(f"The child stores to byte {AT}", "In its own memory, it thinks.")
        data = write.complete()
        os.pwrite(fd, data, 0)
        story.device = {held: "reads it"}
        story.tell("The device reads the frame it was given", "And writes the file.")
        _whose(console, machine, fd)


def _whose(console: Console, machine: uemu.Machine, fd: int) -> None:
    found = os.pread(fd, 24, AT)
    foreign = b"child" in found
    console.print()
    console.print(Text(f"   What is in the file, from byte {AT}:", "bold"))
    sign, style = ("✗", "red") if foreign else ("✓", "green")
    what = "the child's bytes, in the parent's file" if foreign else "what the parent wrote"
    console.print(Text(f"   {sign} {readable(found)!r}  {what}", style))
    print_verdict(console, machine)
